// The one place where FAISS is called from: its exceptions become statuses, and the calling thread
// gets one OpenMP thread.
//
// FAISS opens parallel regions in most calls; callers on several threads would each start a team.
// Searches are parallel across queries instead (retrieval/index_set.h).
#pragma once

#include <omp.h>

#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace palate::retrieval {

// auto status = CatchFaiss([&] { index->add(n, x); });                    absl::Status
// auto index = CatchFaiss([&] { return faiss::read_index(&reader); });
// absl::StatusOr<faiss::Index*> FaissException is Internal, as is any other exception; memory that
// could not be had is ResourceExhausted.
template <typename Function>
auto CatchFaiss(Function&& function) {
  using Value = std::invoke_result_t<Function>;
  using Result =
      std::conditional_t<std::is_void_v<Value>, absl::Status,
                         absl::StatusOr<std::conditional_t<std::is_void_v<Value>, int, Value>>>;
  omp_set_num_threads(1);
  try {
    if constexpr (std::is_void_v<Value>) {
      std::forward<Function>(function)();
      return Result(absl::OkStatus());
    } else {
      return Result(std::forward<Function>(function)());
    }
  } catch (const std::bad_alloc&) {
    return Result(absl::ResourceExhaustedError("FAISS: out of memory"));
  } catch (const std::exception& error) {  // FaissException too
    return Result(absl::InternalError(absl::StrCat("FAISS: ", error.what())));
  }
}

}  // namespace palate::retrieval
