// Wraps FAISS calls: converts exceptions into statuses and limits the calling thread to one OpenMP
// thread. Every FAISS call that can throw or start threads goes through it.
//
// Usage:
//   faiss::IndexFlatIP index(2);
//   const std::vector<float> vectors = {1, 0, 0, 1};
//   const absl::Status added = CatchFaiss([&] { index.add(2, vectors.data()); });
//   const absl::StatusOr<int64_t> size = CatchFaiss([&] { return int64_t{index.ntotal}; });
//
// FAISS opens parallel regions in most calls, so callers on several threads would each start a team
// of threads. Searches are parallel across queries instead (retrieval/index_set.h).
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

// Returns absl::Status for a function without a result, absl::StatusOr otherwise. Internal for a
// FaissException and any other exception; ResourceExhausted for a failed allocation. Thread-safe.
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
