// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/shape.hpp"

namespace spikelock::trace::detail {

nlohmann::json fields_to_json(const Shape& shape);
nlohmann::json populations_to_json(const Shape& shape);
nlohmann::json shape_to_json(const Shape& shape);
nlohmann::json samples_to_json(std::span<const Sample> samples);

/// @errors Errc::BadFormat naming the key
Result<Shape> shape_from_json(const nlohmann::json& json);
Result<std::vector<Sample>> samples_from_json(const nlohmann::json& json);

/// Whether a shape can be stored: sizes in range, names usable as HDF5 links.
/// @errors Errc::BadConfig saying what is wrong
Status check_shape(const Shape& shape);

/// Whether a name can be that of a dataset.
/// @errors Errc::BadConfig with what follows the name in a sentence
Status check_name(const std::string& name);

}  // namespace spikelock::trace::detail
