// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

namespace spikelock::trace::detail {

/// Owns an HDF5 identifier.
class Handle {
public:
    using Close = herr_t (*)(hid_t);
    Handle() = default;
    Handle(hid_t id, Close close) : id_(id), close_(close) {}
    Handle(Handle&& other) noexcept
        : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
    Handle& operator=(Handle&& other) noexcept {
        std::swap(id_, other.id_);
        std::swap(close_, other.close_);
        return *this;
    }
    ~Handle() { static_cast<void>(reset()); }
    bool reset() noexcept {
        const hid_t id = std::exchange(id_, H5I_INVALID_HID);
        return id < 0 || close_(id) >= 0;
    }
    explicit operator bool() const noexcept { return id_ >= 0; }
    hid_t get() const noexcept { return id_; }

private:
    hid_t id_ = H5I_INVALID_HID;
    Close close_ = nullptr;
};

inline Handle file_handle(hid_t id) { return {id, H5Fclose}; }
inline Handle group_handle(hid_t id) { return {id, H5Gclose}; }
inline Handle dataset_handle(hid_t id) { return {id, H5Dclose}; }
inline Handle space_handle(hid_t id) { return {id, H5Sclose}; }
inline Handle type_handle(hid_t id) { return {id, H5Tclose}; }
inline Handle attribute_handle(hid_t id) { return {id, H5Aclose}; }
inline Handle list_handle(hid_t id) { return {id, H5Pclose}; }

/// The innermost message of HDF5's error stack of this thread.
inline std::string hdf5_reason() {
    std::string text;
    const auto visit = [](unsigned, const H5E_error2_t* error, void* data) -> herr_t {
        auto* into = static_cast<std::string*>(data);
        if (into->empty() && error->desc != nullptr) *into = error->desc;
        return 0;
    };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, visit, &text);
    return text.empty() ? "unknown reason" : text;
}

}  // namespace spikelock::trace::detail
