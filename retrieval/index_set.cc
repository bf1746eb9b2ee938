#include "retrieval/index_set.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/status.h"
#include "retrieval/index_state.h"
#include "retrieval/snapshot.h"
#include "retrieval/vector_segment.h"

namespace palate::retrieval {
namespace {

constexpr absl::string_view kCatalogSuffix = ".index";
constexpr absl::string_view kManifestName = "manifest";
constexpr absl::Duration kMaintainEvery = absl::Milliseconds(200);

// A search whose queries run on several pool threads. Thread-safe.
class SearchJob : public std::enable_shared_from_this<SearchJob> {
 public:
  SearchJob(std::shared_ptr<CatalogIndex> index, SearchRequest request, IndexSet::SearchDone done)
      : index_(std::move(index)), request_(std::move(request)), done_(std::move(done)) {}

  // Called on a pool thread: prepares the search, queues helpers, and runs queries.
  void Start(ThreadPool& pool, int max_helpers) ABSL_LOCKS_EXCLUDED(mutex_) {
    auto prepared = index_->Prepare(request_);
    if (!prepared.ok()) return Answer(prepared.status());
    const PreparedSearch& search = **prepared;
    std::vector<std::vector<std::string>> lists;
    for (size_t i = 0; i < request_.lists.size(); ++i) lists.push_back(search.RunList(i));
    {
      MutexLock lock(mutex_);
      if (answered_) return;
      search_ = *std::move(prepared);
      lists_ = std::move(lists);
      results_.resize(request_.queries.size());
    }
    if (request_.queries.empty()) return Answer(absl::InternalError("not searched"));

    const int helpers = std::min(max_helpers, static_cast<int>(request_.queries.size()) - 1);
    for (int i = 0; i < helpers; ++i) {
      // When the queue is full, this thread runs the remaining queries.
      if (!pool.Submit([self = shared_from_this(), &search] { self->Work(search); }).ok()) break;
    }
    Work(search);
  }

  // Answers, unless that has happened: with `missing` where the search has not been prepared, else
  // with the queries that have ended, and `missing` for each of the others.
  void Answer(const absl::Status& missing) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::StatusOr<SearchResponse> answer = missing;
    {
      MutexLock lock(mutex_);
      if (std::exchange(answered_, true)) return;
      if (search_ != nullptr) {
        answer = SearchResponse{.results = {},
                                .lists = std::move(lists_),
                                .filter_evaluations = search_->filter_evaluations()};
        for (std::optional<SearchResult>& result : results_)
          answer->results.push_back(result.has_value() ? *std::move(result) : missing);
      }
    }
    done_(std::move(answer));
  }

 private:
  void Work(const PreparedSearch& search) ABSL_LOCKS_EXCLUDED(mutex_) {
    const size_t count = request_.queries.size();
    for (size_t query = next_.fetch_add(1); query < count; query = next_.fetch_add(1)) {
      SearchResult result = search.Run(query);
      {
        MutexLock lock(mutex_);
        if (answered_) return;
        results_[query] = std::move(result);
        if (++finished_ < count) continue;
      }
      Answer(absl::InternalError("not searched"));
    }
  }

  const std::shared_ptr<CatalogIndex> index_;
  const SearchRequest request_;
  const IndexSet::SearchDone done_;
  std::atomic<size_t> next_{0};

  mutable Mutex mutex_;
  std::unique_ptr<const PreparedSearch> search_ ABSL_GUARDED_BY(mutex_);  // set once
  std::vector<std::optional<SearchResult>> results_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::vector<std::string>> lists_ ABSL_GUARDED_BY(mutex_);
  size_t finished_ ABSL_GUARDED_BY(mutex_) = 0;
  bool answered_ ABSL_GUARDED_BY(mutex_) = false;
};

bool IsFileName(const std::string& catalog) {
  return !catalog.empty() && catalog.size() <= 200 &&
         std::all_of(catalog.begin(), catalog.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

}  // namespace

struct IndexSet::Impl {
  Impl(IndexSetOptions opts, const VectorSegmentFactory& f, const Clock& c)
      : options(std::move(opts)),
        factory(f),
        clock(c),
        // Beside the waiting requests, a request that runs may have queued a helper for each other
        // thread.
        pool(std::make_unique<ThreadPool>("search", options.search_threads,
                                          options.search_queue_limit * options.search_threads)) {}

  std::string CatalogPath(const std::string& catalog) const {
    return absl::StrCat(options.snapshot_dir, "/", catalog, kCatalogSuffix);
  }
  std::string ManifestPath() const {
    return absl::StrCat(options.snapshot_dir, "/", kManifestName);
  }

  absl::Status Load();
  void LoadCatalog(const std::string& path);
  void SetFileAside(const std::string& path, const absl::Status& why);
  absl::StatusOr<std::string> Save() ABSL_LOCKS_EXCLUDED(save_mutex, mutex);
  absl::StatusOr<std::string> SaveLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(save_mutex)
      ABSL_LOCKS_EXCLUDED(mutex);
  bool HasChanged() ABSL_LOCKS_EXCLUDED(save_mutex, mutex);
  std::map<std::string, std::shared_ptr<CatalogIndex>> Indexes() const ABSL_LOCKS_EXCLUDED(mutex);
  void MaintainAll();
  void RunBackground();
  absl::Status Queue(const std::shared_ptr<SearchJob>& job);

  const IndexSetOptions options;
  const VectorSegmentFactory& factory;
  const Clock& clock;
  std::unique_ptr<ThreadPool> pool;
  std::atomic<size_t> waiting{0};  // requests that no thread of the pool has taken yet

  mutable Mutex mutex;  // taken after save_mutex
  CondVar stop_changed;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  std::map<std::string, std::shared_ptr<CatalogIndex>> indexes ABSL_GUARDED_BY(mutex);
  std::string position ABSL_GUARDED_BY(mutex);
  std::vector<std::string> restored ABSL_GUARDED_BY(mutex);
  absl::Time last_snapshot ABSL_GUARDED_BY(mutex) = absl::InfinitePast();
  int64_t set_aside ABSL_GUARDED_BY(mutex) = 0;

  Mutex save_mutex;
  // The contents of the files: the state of each catalog, and the manifest's position.
  std::map<std::string, std::shared_ptr<const IndexState>> saved_states ABSL_GUARDED_BY(save_mutex);
  std::string saved_position ABSL_GUARDED_BY(save_mutex);

  std::thread background;
};

void IndexSet::Impl::SetFileAside(const std::string& path, const absl::Status& why) {
  const absl::StatusOr<std::string> aside = SetAside(path);
  spdlog::error("retrieval: {}; {}; its catalogs are listed again from the feature store",
                why.ToString(), aside.ok() ? "renamed to " + *aside : aside.status().ToString());

  MutexLock lock(mutex);
  ++set_aside;
}

void IndexSet::Impl::LoadCatalog(const std::string& path) {
  absl::StatusOr<CatalogSnapshot> snapshot = ReadCatalogSnapshot(path, factory);
  if (snapshot.ok() && CatalogPath(snapshot->config.id) != path) {
    snapshot = absl::DataLossError(
        absl::StrCat("snapshot ", path, " is of catalog ", QuoteForMessage(snapshot->config.id)));
  }
  if (!snapshot.ok()) return SetFileAside(path, snapshot.status());

  auto index = std::make_shared<CatalogIndex>(snapshot->config, options.index, factory, clock);
  index->Restore(std::move(snapshot->segments), snapshot->retiring, snapshot->dropped,
                 snapshot->listing_due);
  const CatalogStats stats = index->GetStats();
  spdlog::info("retrieval: catalog {}: {} items from the snapshot", stats.catalog, stats.items);

  MutexLock save_lock(save_mutex);
  MutexLock lock(mutex);
  saved_states[snapshot->config.id] = index->state();
  indexes[snapshot->config.id] = std::move(index);
}

absl::Status IndexSet::Impl::Load() {
  std::error_code error;
  std::filesystem::create_directories(options.snapshot_dir, error);
  if (error)
    return absl::ErrnoToStatus(error.value(), absl::StrCat("creating ", options.snapshot_dir));

  std::set<std::string> paths;
  for (std::filesystem::directory_iterator entry(options.snapshot_dir, error), end;
       !error && entry != end; entry.increment(error)) {
    paths.insert(entry->path().string());
  }
  if (error)
    return absl::ErrnoToStatus(error.value(), absl::StrCat("reading ", options.snapshot_dir));

  for (const std::string& path : paths) {
    if (absl::EndsWith(path, ".tmp"))
      std::filesystem::remove(path, error);  // left by a crash during a write
    if (absl::EndsWith(path, kCatalogSuffix)) LoadCatalog(path);
  }

  const absl::StatusOr<SnapshotManifest> manifest = ReadManifest(ManifestPath());
  if (absl::IsNotFound(manifest.status())) return absl::OkStatus();
  if (!manifest.ok()) {
    SetFileAside(ManifestPath(), Annotate(manifest.status(), "snapshot manifest ", ManifestPath()));
    return absl::OkStatus();
  }

  MutexLock save_lock(save_mutex);
  MutexLock lock(mutex);
  position = manifest->position;
  saved_position = position;
  for (const std::string& catalog : manifest->catalogs) {
    if (indexes.contains(catalog)) restored.push_back(catalog);
  }
  return absl::OkStatus();
}

std::map<std::string, std::shared_ptr<CatalogIndex>> IndexSet::Impl::Indexes() const {
  MutexLock lock(mutex);
  return indexes;
}

absl::StatusOr<std::string> IndexSet::Impl::Save() {
  if (options.snapshot_dir.empty())
    return absl::FailedPreconditionError("no snapshot directory is configured");
  MutexLock save_lock(save_mutex);
  return SaveLocked();
}

absl::StatusOr<std::string> IndexSet::Impl::SaveLocked() {
  // The position is read before the states, so that each state has all changes up to the position.
  SnapshotManifest manifest;
  std::map<std::string, std::shared_ptr<CatalogIndex>> now;
  {
    MutexLock lock(mutex);
    manifest.position = position;
    now = indexes;
  }

  for (const auto& [catalog, index] : now) {
    if (!IsFileName(catalog))
      return absl::InvalidArgumentError(
          absl::StrCat("catalog id ", QuoteForMessage(catalog), " is not a valid file name"));
    manifest.catalogs.push_back(catalog);
    std::shared_ptr<const IndexState> state = index->state();
    if (saved_states[catalog] == state) continue;
    PALATE_RETURN_IF_ERROR(WriteCatalogSnapshot(CatalogPath(catalog), *state, manifest.position));
    saved_states[catalog] = std::move(state);
  }

  PALATE_RETURN_IF_ERROR(
      Annotate(WriteManifest(ManifestPath(), manifest), "snapshot manifest ", ManifestPath()));
  saved_position = manifest.position;

  // Files of dropped catalogs are removed last, when the manifest no longer names them.
  std::erase_if(saved_states, [&](const auto& saved) {
    if (now.contains(saved.first)) return false;
    std::error_code ignored;
    std::filesystem::remove(CatalogPath(saved.first), ignored);
    return true;
  });

  MutexLock lock(mutex);
  last_snapshot = clock.Now();
  return manifest.position;
}

bool IndexSet::Impl::HasChanged() {
  MutexLock save_lock(save_mutex);
  const auto now = Indexes();
  bool same = now.size() == saved_states.size();
  for (const auto& [catalog, index] : now) {
    const auto saved = saved_states.find(catalog);
    same = same && saved != saved_states.end() && saved->second == index->state();
  }

  MutexLock lock(mutex);
  return !same || position != saved_position;
}

void IndexSet::Impl::MaintainAll() {
  for (const auto& [catalog, index] : Indexes()) {
    absl::StatusOr<bool> more = true;
    while (more.ok() && *more) {
      {
        MutexLock lock(mutex);
        if (stopping) return;
      }
      more = index->Maintain();
    }
    if (!more.ok()) spdlog::error("retrieval: catalog {}: {}", catalog, more.status().ToString());
  }
}

void IndexSet::Impl::RunBackground() {
  absl::Time next_save = absl::Now() + options.snapshot_interval;
  while (true) {
    {
      MutexLock lock(mutex);
      if (!stopping) stop_changed.WaitFor(mutex, kMaintainEvery);
      if (stopping) return;
    }
    MaintainAll();

    const bool saves =
        !options.snapshot_dir.empty() && options.snapshot_interval > absl::ZeroDuration();
    if (!saves || absl::Now() < next_save) continue;
    if (HasChanged()) {
      const absl::Status saved = Save().status();
      if (!saved.ok()) spdlog::error("retrieval: {}", saved.ToString());
    }
    next_save = absl::Now() + options.snapshot_interval;
  }
}

IndexSet::IndexSet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->background = std::thread([this] { impl_->RunBackground(); });
}

absl::StatusOr<std::unique_ptr<IndexSet>> IndexSet::Create(IndexSetOptions options,
                                                           const VectorSegmentFactory& factory,
                                                           const Clock& clock) {
  if (options.search_threads < 1)
    return InvalidField("search_threads", absl::StrCat("is ", options.search_threads),
                        "at least 1");
  if (options.search_queue_limit < 1)
    return InvalidField("search_queue_limit", "is 0", "at least 1");
  if (options.index.delta_rows < 1)
    return InvalidField("delta_rows", absl::StrCat("is ", options.index.delta_rows), "at least 1");
  constexpr int64_t kMaxRows = int64_t{1} << 31;  // rows are numbered with 32 bits
  if (options.index.max_segment_rows < 1 || options.index.max_segment_rows > kMaxRows) {
    return InvalidField("max_segment_rows", absl::StrCat("is ", options.index.max_segment_rows),
                        absl::StrCat("1 to ", kMaxRows));
  }

  spdlog::info("retrieval: {}; {} search threads", factory.Describe(), options.search_threads);
  auto impl = std::make_unique<Impl>(std::move(options), factory, clock);
  if (!impl->options.snapshot_dir.empty()) PALATE_RETURN_IF_ERROR(impl->Load());
  return std::unique_ptr<IndexSet>(new IndexSet(std::move(impl)));
}

IndexSet::~IndexSet() {
  {
    MutexLock lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->stop_changed.SignalAll();
  impl_->background.join();
  impl_->pool.reset();

  if (impl_->options.snapshot_dir.empty() || !impl_->HasChanged()) return;
  const absl::Status saved = impl_->Save().status();
  if (!saved.ok()) spdlog::error("retrieval: {}", saved.ToString());
}

// Queues the job as one task, whatever the number of its queries.
absl::Status IndexSet::Impl::Queue(const std::shared_ptr<SearchJob>& job) {
  const size_t limit = options.search_queue_limit;
  if (waiting.fetch_add(1) >= limit) {
    --waiting;
    return absl::ResourceExhaustedError(
        absl::StrCat(limit, " searches wait for a thread, as many as may wait"));
  }
  // Not by the member, which is null while the pool's destructor runs what is queued.
  ThreadPool* const threads = pool.get();
  const absl::Status queued = threads->Submit([this, job, threads] {
    --waiting;
    job->Start(*threads, options.search_threads - 1);
  });
  if (!queued.ok()) --waiting;
  return queued;
}

void IndexSet::SearchAsync(const std::string& catalog, SearchRequest request, SearchDone done) {
  absl::StatusOr<std::shared_ptr<CatalogIndex>> index = Find(catalog);
  if (!index.ok()) return done(index.status());
  const auto job = std::make_shared<SearchJob>(*std::move(index), std::move(request), done);
  const absl::Status queued = impl_->Queue(job);
  if (!queued.ok()) done(queued);
}

absl::StatusOr<SearchResponse> IndexSet::Search(const std::string& catalog, SearchRequest request) {
  struct Answer {
    Mutex mutex;
    CondVar arrived;
    std::optional<absl::StatusOr<SearchResponse>> response;
  };

  PALATE_ASSIGN_OR_RETURN(std::shared_ptr<CatalogIndex> index, Find(catalog));
  const absl::Time deadline = request.context.deadline;
  const auto answer = std::make_shared<Answer>();
  const auto job = std::make_shared<SearchJob>(std::move(index), std::move(request),
                                               [answer](absl::StatusOr<SearchResponse> response) {
                                                 MutexLock lock(answer->mutex);
                                                 answer->response = std::move(response);
                                                 answer->arrived.SignalAll();
                                               });
  PALATE_RETURN_IF_ERROR(impl_->Queue(job));

  const auto wait = [&](bool to_the_end) -> bool {
    MutexLock lock(answer->mutex);
    while (!answer->response.has_value()) {
      const absl::Duration left = deadline - impl_->clock.Now();
      if (to_the_end || deadline == absl::InfiniteFuture()) {
        answer->arrived.Wait(answer->mutex);
      } else if (left <= absl::ZeroDuration()) {
        return false;
      } else {
        answer->arrived.WaitFor(answer->mutex, left);
      }
    }
    return true;
  };
  if (!wait(/*to_the_end=*/false)) {
    job->Answer(absl::DeadlineExceededError("the search had not ended at its deadline"));
    wait(/*to_the_end=*/true);  // for a thread that answers at the same moment
  }

  MutexLock lock(answer->mutex);
  return *std::move(answer->response);
}

absl::StatusOr<std::shared_ptr<CatalogIndex>> IndexSet::Find(const std::string& catalog) const {
  MutexLock lock(impl_->mutex);
  const auto found = impl_->indexes.find(catalog);
  if (found != impl_->indexes.end()) return found->second;
  return absl::NotFoundError(
      absl::StrCat("no catalog ", QuoteForMessage(catalog), " in the index"));
}

IndexSet::UpsertResult IndexSet::Upsert(CatalogConfig config) {
  UpsertResult result;
  {
    MutexLock lock(impl_->mutex);
    std::shared_ptr<CatalogIndex>& index = impl_->indexes[config.id];
    // A catalog that was deleted and created again shares only its name with the old one.
    result.created = index == nullptr || absl::ToUnixMicros(index->config().create_time) !=
                                             absl::ToUnixMicros(config.create_time);
    if (result.created)
      index = std::make_shared<CatalogIndex>(config, impl_->options.index, impl_->factory,
                                             impl_->clock);
    result.index = index;
  }
  if (!result.created) result.index->SetCatalog(std::move(config));
  result.needs_listing = result.index->listing_due();
  return result;
}

bool IndexSet::Drop(const std::string& catalog) {
  MutexLock lock(impl_->mutex);
  std::erase(impl_->restored, catalog);
  return impl_->indexes.erase(catalog) > 0;
}

std::vector<std::string> IndexSet::Catalogs() const {
  std::vector<std::string> catalogs;
  for (const auto& [catalog, index] : impl_->Indexes()) catalogs.push_back(catalog);
  return catalogs;
}

std::string IndexSet::position() const {
  MutexLock lock(impl_->mutex);
  return impl_->position;
}

void IndexSet::SetPosition(std::string position) {
  MutexLock lock(impl_->mutex);
  impl_->position = std::move(position);
}

std::vector<std::string> IndexSet::RestoredCatalogs() const {
  MutexLock lock(impl_->mutex);
  return impl_->restored;
}

absl::StatusOr<std::string> IndexSet::Save() { return impl_->Save(); }

IndexSetStats IndexSet::GetStats() const {
  IndexSetStats stats;
  for (const auto& [catalog, index] : impl_->Indexes()) stats.catalogs.push_back(index->GetStats());
  stats.queued_searches = impl_->waiting;
  MutexLock lock(impl_->mutex);
  stats.position = impl_->position;
  stats.last_snapshot = impl_->last_snapshot;
  stats.snapshots_set_aside = impl_->set_aside;
  return stats;
}

}  // namespace palate::retrieval
