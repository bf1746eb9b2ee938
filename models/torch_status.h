// Converts LibTorch's exceptions to statuses, so that no exception of ATen leaves our code.
#pragma once

#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace palate::models {

// The status for an exception of LibTorch or of the standard library: ResourceExhausted when memory
// ran out, otherwise Internal. Keeps only the first line of the message, because the rest is a C++
// backtrace.
absl::Status StatusFromTorchException(const std::exception& error);

// Runs `body` and returns its value as StatusOr<value> (a Status or StatusOr is passed through), or
// the status for its exception.
//
// Usage:
//   PALATE_ASSIGN_OR_RETURN(const at::Tensor y, CatchTorch([&] { return at::linear(x, weight); }));
template <typename Body>
auto CatchTorch(Body&& body) {
  using Value = std::invoke_result_t<Body>;

  if constexpr (std::is_void_v<Value>) {
    try {
      std::forward<Body>(body)();
      return absl::OkStatus();
    } catch (const std::exception& error) {
      return StatusFromTorchException(error);
    }
  } else if constexpr (std::is_constructible_v<Value, absl::Status>) {
    try {
      return std::forward<Body>(body)();
    } catch (const std::exception& error) {
      return Value(StatusFromTorchException(error));
    }
  } else {
    using Result = absl::StatusOr<Value>;
    try {
      return Result(std::forward<Body>(body)());
    } catch (const std::exception& error) {
      return Result(StatusFromTorchException(error));
    }
  }
}

}  // namespace palate::models
