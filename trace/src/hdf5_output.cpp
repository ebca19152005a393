// SPDX-License-Identifier: Apache-2.0
#include "hdf5_output.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace spikelock::trace::detail {

hid_t integer_type(std::size_t bytes, bool is_signed) {
    switch (bytes) {
        case 1:
            return is_signed ? H5T_STD_I8LE : H5T_STD_U8LE;
        case 2:
            return is_signed ? H5T_STD_I16LE : H5T_STD_U16LE;
        case 4:
            return is_signed ? H5T_STD_I32LE : H5T_STD_U32LE;
        default:
            return is_signed ? H5T_STD_I64LE : H5T_STD_U64LE;
    }
}

Status Hdf5Output::create() {
    // HDF5 would print its error stack; every failure is reported by value instead.
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    const Handle creation = list_handle(H5Pcreate(H5P_FILE_CREATE));
    H5Pset_obj_track_times(creation.get(), false);
    // Nodes of the chunk indexes have room for 16 chunks instead of 64: with a score of datasets,
    // most of them short, the default takes more than the samples and the input events together.
    H5Pset_istore_k(creation.get(), 8);
    const Handle access = list_handle(H5Pcreate(H5P_FILE_ACCESS));
    // The 1.8 format: newer ones mark a file as open for writing, and stock readers then refuse it
    // after a kill.
    H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18);
    // Without its aggregators HDF5 places each chunk at the end of the file, so that the index
    // knows the address without a search (put_chunk checks it).
    H5Pset_small_data_block_size(access.get(), 0);
    H5Pset_meta_block_size(access.get(), 0);
    // Readers may look at a growing trace; a second writer is kept out by the index.
    H5Pset_file_locking(access.get(), false, true);
    file_ = file_handle(H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()));
    if (!file_) {
        return Error{Errc::Io, "cannot create the trace: " + hdf5_reason(), path_};
    }
    void* descriptor = nullptr;
    if (H5Fget_vfd_handle(file_.get(), access.get(), &descriptor) >= 0 && descriptor != nullptr) {
        ::fcntl(*static_cast<int*>(descriptor), F_SETFD, FD_CLOEXEC);
    }
    auto space = DiskSpace::open(path_);
    if (!space) return space.error();
    space_ = std::move(*space);
    return {};
}

bool Hdf5Output::close() noexcept {
    const bool ok = file_.reset();
    space_.release();
    return ok;
}

Error Hdf5Output::error(const std::string& doing) const {
    return Error{Errc::Io, doing + " failed: " + hdf5_reason(), path_};
}

Status Hdf5Output::reserve(std::uint64_t more) {
    hsize_t size = 0;
    H5Fget_filesize(file_.get(), &size);
    return space_.reserve(size + more);
}

Status Hdf5Output::flush() {
    if (H5Fflush(file_.get(), H5F_SCOPE_GLOBAL) < 0) return error("flushing the trace");
    return {};
}

Status Hdf5Output::make_group(const std::string& name) {
    const Handle properties = list_handle(H5Pcreate(H5P_GROUP_CREATE));
    H5Pset_obj_track_times(properties.get(), false);
    const Handle group = group_handle(
        H5Gcreate2(file_.get(), name.c_str(), H5P_DEFAULT, properties.get(), H5P_DEFAULT));
    return group ? Status{} : error("creating " + name);
}

Status Hdf5Output::make_series(Series& series, std::uint64_t chunk_rows) {
    const int rank = series.columns == 0 ? 1 : 2;
    const std::array<hsize_t, 2> none = {0, series.columns};
    const std::array<hsize_t, 2> most = {H5S_UNLIMITED, series.columns};
    const std::array<hsize_t, 2> chunk = {chunk_rows, series.columns};
    const Handle space = space_handle(H5Screate_simple(rank, none.data(), most.data()));
    const Handle properties = list_handle(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_obj_track_times(properties.get(), false);
    H5Pset_chunk(properties.get(), rank, chunk.data());
    if (series.element_bytes > 1) H5Pset_shuffle(properties.get());
    H5Pset_deflate(properties.get(), 1);
    H5Pset_fill_time(properties.get(), H5D_FILL_TIME_IFSET);
    if (series.ones_where_absent) {
        const std::uint8_t one = 1;
        const std::uint64_t ones = ~std::uint64_t{0};
        if (series.element_bytes == 1) {
            H5Pset_fill_value(properties.get(), H5T_NATIVE_UINT8, &one);
        } else {
            H5Pset_fill_value(properties.get(), H5T_NATIVE_UINT64, &ones);
        }
    }
    series.dataset =
        dataset_handle(H5Dcreate2(file_.get(), series.path.c_str(), series.type, space.get(),
                                  H5P_DEFAULT, properties.get(), H5P_DEFAULT));
    if (!series.dataset) return error("creating " + series.path);
    series.compressor = ChunkCompressor(series.element_bytes);
    return {};
}

Status Hdf5Output::make_plain(const char* name, hid_t type, Handle& dataset, bool packed) {
    const hsize_t none = 0;
    const hsize_t most = H5S_UNLIMITED;
    const hsize_t chunk = 1024;
    const Handle space = space_handle(H5Screate_simple(1, &none, &most));
    const Handle properties = list_handle(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_obj_track_times(properties.get(), false);
    H5Pset_chunk(properties.get(), 1, &chunk);
    if (packed) {
        H5Pset_shuffle(properties.get());
        H5Pset_deflate(properties.get(), 6);
    }
    dataset = dataset_handle(H5Dcreate2(file_.get(), name, type, space.get(), H5P_DEFAULT,
                                        properties.get(), H5P_DEFAULT));
    return dataset ? Status{} : error(std::string("creating ") + name);
}

Status Hdf5Output::append_plain(const Handle& dataset, hid_t memory_type, std::uint64_t at,
                                std::size_t count, const void* data) {
    const hsize_t start = at;
    const hsize_t size = count;
    const hsize_t extent = at + count;
    const Handle memory = space_handle(H5Screate_simple(1, &size, nullptr));
    if (H5Dset_extent(dataset.get(), &extent) < 0) return error("growing a dataset");
    const Handle space = space_handle(H5Dget_space(dataset.get()));
    if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &start, nullptr, &size, nullptr) < 0 ||
        H5Dwrite(dataset.get(), memory_type, memory.get(), space.get(), H5P_DEFAULT, data) < 0) {
        return error("writing a dataset");
    }
    return {};
}

Status Hdf5Output::put_text(hid_t object, const std::string& name, std::string_view text) {
    if (H5Aexists(object, name.c_str()) > 0) H5Adelete(object, name.c_str());
    // Variable length: h5py then gives a str. A text with a zero byte would end there.
    const Handle type = type_handle(H5Tcopy(H5T_C_S1));
    H5Tset_size(type.get(), H5T_VARIABLE);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
    const std::string terminated(text);
    const char* const characters = terminated.c_str();
    const Handle space = space_handle(H5Screate(H5S_SCALAR));
    const Handle attribute = attribute_handle(
        H5Acreate2(object, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT));
    if (!attribute || H5Awrite(attribute.get(), type.get(), &characters) < 0) {
        return error("writing attribute '" + name + "'");
    }
    return {};
}

Status Hdf5Output::put_scalar(hid_t object, const std::string& name, hid_t type, hid_t native,
                              const void* value) {
    const Handle space = space_handle(H5Screate(H5S_SCALAR));
    const bool there = H5Aexists(object, name.c_str()) > 0;
    const Handle attribute = attribute_handle(
        there ? H5Aopen(object, name.c_str(), H5P_DEFAULT)
              : H5Acreate2(object, name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT));
    if (!attribute || H5Awrite(attribute.get(), native, value) < 0) {
        return error("writing attribute '" + name + "'");
    }
    return {};
}

Status Hdf5Output::put_number(hid_t object, const std::string& name, std::int64_t value) {
    return put_scalar(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

Status Hdf5Output::put_number(hid_t object, const std::string& name, double value) {
    return put_scalar(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

Status Hdf5Output::put_chunk(Series& series, std::uint64_t row, std::uint64_t rows_after,
                             std::span<const std::byte> raw, std::vector<ChunkPlace>* places,
                             std::uint32_t number) {
    const std::span<const std::byte> packed = series.compressor.compress(raw);
    hsize_t before = 0;
    H5Fget_filesize(file_.get(), &before);
    SPIKELOCK_TRY(space_.reserve(before + packed.size() + kMetadataSlack));
    const std::array<hsize_t, 2> extent = {rows_after, series.columns};
    const std::array<hsize_t, 2> offset = {row, 0};
    if (H5Dset_extent(series.dataset.get(), extent.data()) < 0 ||
        H5Dwrite_chunk(series.dataset.get(), H5P_DEFAULT, 0, offset.data(), packed.size(),
                       packed.data()) < 0) {
        return error("writing " + series.path);
    }
    series.rows = rows_after;
    if (places == nullptr) return {};
    stored_bytes_ += packed.size();
    raw_bytes_ += raw.size();
    // The chunk is where the file ended, but for the first one of a dataset, before which HDF5
    // places the chunk index. Its last bytes are the checksum of its contents.
    std::uint64_t address = before;
    std::array<std::byte, 16> there{};
    const std::size_t tail = std::min(there.size(), packed.size());
    const auto last = packed.subspan(packed.size() - tail);
    const ssize_t got = ::pread(space_.fd(), there.data(), tail,
                                static_cast<off_t>(address + packed.size() - tail));
    if (got != static_cast<ssize_t>(tail) || std::memcmp(there.data(), last.data(), tail) != 0) {
        unsigned mask = 0;
        haddr_t found = HADDR_UNDEF;
        hsize_t size = 0;
        if (H5Dget_chunk_info_by_coord(series.dataset.get(), offset.data(), &mask, &found, &size) <
                0 ||
            found == HADDR_UNDEF) {
            return error("locating a chunk of " + series.path);
        }
        address = found;
    }
    places->push_back({number, checksum(packed), address, packed.size()});
    return {};
}

}  // namespace spikelock::trace::detail
