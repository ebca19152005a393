// SPDX-License-Identifier: Apache-2.0
#include "spikelock/base/hash.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_adapters.hpp>
#include <catch2/generators/catch_generators_random.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <vector>

using spikelock::Errc;
using spikelock::hash_file;
using spikelock::Sha256;

namespace {
std::string sha256(std::string_view text) {
    Sha256 hash;
    hash.update(text);
    return hash.hex();
}

/// A folder of its own for one test, removed with all it holds.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "spikelock-XXXXXX").string();
        path_ = mkdtemp(name.data());
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

std::string random_bytes(std::size_t size, std::uint32_t seed) {
    std::mt19937 engine(seed);
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(engine());
    return bytes;
}
}  // namespace

TEST_CASE("base/hash: the standard's examples give the standard's digests", "[base][unit]") {
    // FIPS 180-4 examples and the NIST byte-oriented vectors.
    const auto [text, digest] = GENERATE(table<std::string, std::string>({
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
         "lmnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
        {"\xd3", "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1"},
    }));
    CHECK(sha256(text) == digest);
}

TEST_CASE("base/hash: a million bytes in pieces give the standard's digest", "[base][unit]") {
    Sha256 hash;
    const std::string piece(1000, 'a');
    for (int i = 0; i < 1000; ++i) hash.update(piece);
    CHECK(hash.hex() == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("base/hash: where the input is split does not matter", "[base][property]") {
    // All lengths around one and two blocks, where the padding changes shape.
    const std::size_t size = GENERATE(range(std::size_t{0}, std::size_t{131}));
    const std::string bytes = random_bytes(size, static_cast<std::uint32_t>(size) + 1);
    const std::string whole = sha256(bytes);
    for (std::size_t cut = 0; cut <= size; ++cut) {
        Sha256 hash;
        hash.update(std::string_view(bytes).substr(0, cut));
        hash.update(std::string_view(bytes).substr(cut));
        REQUIRE(hash.hex() == whole);
    }
}

TEST_CASE("base/hash: fields do not run into each other", "[base][unit]") {
    const auto of = [](std::initializer_list<std::string_view> fields) {
        Sha256 hash;
        for (const std::string_view field : fields) hash.update_field(field);
        return hash.hex();
    };
    CHECK(of({"ab", "c"}) != of({"a", "bc"}));
    CHECK(of({"", "x"}) != of({"x", ""}));
    CHECK(of({"1:a"}) != of({"a", ""}));
    CHECK(of({"ab", "c"}) == of({"ab", "c"}));
}

TEST_CASE("base/hash: a file gives what Python's hashlib gives", "[base][property]") {
    const TemporaryFolder folder;
    const std::vector<std::size_t> sizes = {0,   1,   55,  56,    57,    63,    64,    65,
                                            119, 120, 127, 65535, 65536, 65537, 200001};
    for (const std::size_t size : sizes) {
        const std::string bytes = random_bytes(size, static_cast<std::uint32_t>(size) + 7);
        std::ofstream(folder.path() / std::to_string(size), std::ios::binary) << bytes;
    }
    const std::string command =
        "python3 -c \"import hashlib,pathlib,sys\n"
        "for n in sys.argv[2:]:\n"
        "  print(hashlib.sha256((pathlib.Path(sys.argv[1])/n).read_bytes()).hexdigest())\" '" +
        folder.path().string() + "'";
    std::string names;
    for (const std::size_t size : sizes) names += " " + std::to_string(size);
    std::FILE* pipe = popen((command + names).c_str(), "r");
    REQUIRE(pipe != nullptr);
    char line[80];
    for (const std::size_t size : sizes) {
        CAPTURE(size);
        REQUIRE(std::fgets(line, sizeof line, pipe) != nullptr);
        const auto digest = hash_file((folder.path() / std::to_string(size)).string());
        REQUIRE(digest);
        CHECK(*digest + "\n" == line);
    }
    CHECK(pclose(pipe) == 0);
}

TEST_CASE("base/hash: a file that cannot be read is an error with its name", "[base][unit]") {
    const TemporaryFolder folder;
    const std::string missing = (folder.path() / "missing").string();
    const auto digest = hash_file(missing);
    REQUIRE_FALSE(digest);
    CHECK(digest.error().code == Errc::Io);
    CHECK(digest.error().where == missing);
    // A folder can be opened but not read.
    const auto folder_digest = hash_file(folder.path().string());
    REQUIRE_FALSE(folder_digest);
    CHECK(folder_digest.error().code == Errc::Io);
}
