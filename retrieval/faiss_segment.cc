#include "retrieval/faiss_segment.h"

#include <dlfcn.h>
#include <faiss/IndexFlat.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include <faiss/utils/utils.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "retrieval/faiss_status.h"

namespace palate::retrieval {
namespace {

// Up to this share (1 in 8) of allowed vectors, computing their scores one by one is faster than
// scanning all vectors.
constexpr int64_t kScanShare = 8;

bool Better(const VectorHit& a, const VectorHit& b) {
  return a.score != b.score ? a.score > b.score : a.index < b.index;
}

// Reads from borrowed bytes.
class SpanReader final : public faiss::IOReader {
 public:
  explicit SpanReader(absl::string_view bytes) : rest_(bytes) {}
  size_t operator()(void* out, size_t size, size_t count) override {
    if (size == 0) return 0;
    const size_t taken = std::min(count, rest_.size() / size);
    std::memcpy(out, rest_.data(), taken * size);
    rest_.remove_prefix(taken * size);
    return taken;
  }

 private:
  absl::string_view rest_;
};

class FlatSegment final : public VectorSegment {
 public:
  explicit FlatSegment(std::unique_ptr<const faiss::IndexFlatIP> index)
      : index_(std::move(index)) {}

  int64_t size() const override { return index_->ntotal; }
  int dimensions() const override { return static_cast<int>(index_->d); }
  int64_t memory_bytes() const override { return static_cast<int64_t>(index_->codes.size()); }

  absl::StatusOr<std::vector<VectorHit>> Search(const float* query, int64_t k,
                                                const Bitmap* allowed) const override {
    const int64_t candidates = allowed == nullptr ? size() : static_cast<int64_t>(allowed->Count());
    k = std::min(k, candidates);
    if (k == 0) return std::vector<VectorHit>();

    if (candidates <= size() / kScanShare) return SearchFew(query, k, *allowed, candidates);
    return SearchAll(query, k, allowed);
  }

  void Reconstruct(int64_t index, float* out) const override {
    std::memcpy(out, index_->get_xb() + index * index_->d, sizeof(float) * index_->d);
  }

  absl::StatusOr<std::string> Serialize() const override {
    faiss::VectorIOWriter writer;
    PALATE_RETURN_IF_ERROR(CatchFaiss([&] { faiss::write_index(index_.get(), &writer); }));
    return std::string(writer.data.begin(), writer.data.end());
  }

 private:
  absl::StatusOr<std::vector<VectorHit>> SearchFew(const float* query, int64_t k,
                                                   const Bitmap& allowed,
                                                   int64_t candidates) const {
    std::vector<faiss::idx_t> labels;
    labels.reserve(candidates);
    allowed.ForEach([&](size_t index) { labels.push_back(static_cast<faiss::idx_t>(index)); });
    std::vector<float> scores(candidates);
    PALATE_RETURN_IF_ERROR(CatchFaiss([&] {
      index_->compute_distance_subset(1, query, candidates, scores.data(), labels.data());
    }));

    std::vector<VectorHit> hits;
    hits.reserve(candidates);
    for (int64_t i = 0; i < candidates; ++i)
      hits.push_back({.index = static_cast<uint32_t>(labels[i]), .score = scores[i]});

    std::partial_sort(hits.begin(), hits.begin() + k, hits.end(), Better);
    hits.resize(k);
    return hits;
  }

  absl::StatusOr<std::vector<VectorHit>> SearchAll(const float* query, int64_t k,
                                                   const Bitmap* allowed) const {
    // FAISS expects bytes with the first bit lowest: on a little-endian machine, the memory of the
    // words.
    const uint8_t* bits =
        allowed == nullptr ? nullptr : reinterpret_cast<const uint8_t*>(allowed->words().data());
    faiss::IDSelectorBitmap selector(
        allowed == nullptr ? 0 : allowed->words().size() * sizeof(uint64_t), bits);
    faiss::SearchParameters parameters;
    parameters.sel = allowed == nullptr ? nullptr : &selector;

    std::vector<float> scores(k);
    std::vector<faiss::idx_t> labels(k, -1);
    PALATE_RETURN_IF_ERROR(CatchFaiss(
        [&] { index_->search(1, query, k, scores.data(), labels.data(), &parameters); }));

    std::vector<VectorHit> hits;
    hits.reserve(k);
    for (int64_t i = 0; i < k; ++i) {
      if (labels[i] >= 0)
        hits.push_back({.index = static_cast<uint32_t>(labels[i]), .score = scores[i]});
    }
    return hits;
  }

  const std::unique_ptr<const faiss::IndexFlatIP> index_;
};

// The file of the BLAS in use, with its folder and with links followed:
// "openblas-serial/libopenblas-r0.3.21.so". The loader is asked, because the process decides which
// BLAS it loads.
std::string BlasFile() {
  void* const symbol = dlsym(RTLD_DEFAULT, "sgemm_");
  Dl_info info;
  if (symbol == nullptr || dladdr(symbol, &info) == 0 || info.dli_fname == nullptr)
    return "unknown";

  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(info.dli_fname, error);
  return error ? std::string(info.dli_fname)
               : (path.parent_path().filename() / path.filename()).string();
}

// Searches are parallel across queries. If libopenblas.so.0 is a threaded build on this machine, it
// must not start further threads in each search.
void UseOneBlasThread() {
  using SetThreads = void (*)(int);
  const auto set_threads =
      reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set_threads != nullptr) set_threads(1);
}

class FaissFactory final : public VectorSegmentFactory {
 public:
  FaissFactory() { UseOneBlasThread(); }

  absl::StatusOr<std::unique_ptr<VectorSegment>> Build(int dimensions,
                                                       const std::vector<float>& vectors,
                                                       bool) const override {
    auto built = CatchFaiss([&] {
      auto index = std::make_unique<faiss::IndexFlatIP>(dimensions);
      index->add(static_cast<faiss::idx_t>(vectors.size() / dimensions), vectors.data());
      return index;
    });

    if (!built.ok()) return built.status();
    return std::make_unique<FlatSegment>(*std::move(built));
  }

  absl::StatusOr<std::unique_ptr<VectorSegment>> Deserialize(
      int dimensions, int64_t size, absl::string_view bytes) const override {
    SpanReader reader(bytes);
    auto read =
        CatchFaiss([&] { return std::unique_ptr<faiss::Index>(faiss::read_index(&reader)); });
    if (!read.ok()) return absl::DataLossError(read.status().message());

    auto* flat = dynamic_cast<faiss::IndexFlatIP*>(read->get());
    const bool fits = flat != nullptr && flat->d == dimensions && flat->ntotal == size &&
                      flat->codes.size() == sizeof(float) * static_cast<size_t>(size) * dimensions;
    if (!fits)
      return absl::DataLossError(
          absl::StrCat("not an exact index of ", size, " vectors of ", dimensions, " dimensions"));

    static_cast<void>(read->release());  // `flat` is the same object
    return std::make_unique<FlatSegment>(std::unique_ptr<const faiss::IndexFlatIP>(flat));
  }

  std::string Describe() const override {
    return absl::StrCat("FAISS ", faiss::get_version(), ", ",
                        absl::StripTrailingAsciiWhitespace(faiss::get_compile_options()),
                        ", BLAS from ", BlasFile());
  }
};

}  // namespace

const VectorSegmentFactory& FaissSegments() {
  static const FaissFactory factory;
  return factory;
}

}  // namespace palate::retrieval
