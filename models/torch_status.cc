#include "models/torch_status.h"

#include <c10/util/Exception.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace palate::models {
namespace {

absl::string_view FirstLine(absl::string_view text) { return text.substr(0, text.find('\n')); }

bool IsOutOfMemory(absl::string_view message) {
  // The CPU allocator reports a failed allocation as a plain c10::Error with this text.
  return message.find("not enough memory") != absl::string_view::npos ||
         message.find("out of memory") != absl::string_view::npos;
}

}  // namespace

absl::Status StatusFromTorchException(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr)
    return absl::ResourceExhaustedError("out of memory");

  std::string message;
  if (const auto* torch_error = dynamic_cast<const c10::Error*>(&error)) {
    message = std::string(FirstLine(torch_error->what_without_backtrace()));
  } else {
    message = std::string(FirstLine(error.what()));
  }

  if (IsOutOfMemory(message)) return absl::ResourceExhaustedError(message);
  return absl::InternalError(absl::StrCat("LibTorch: ", message));
}

}  // namespace palate::models
