#include "services/embedding/embed_stream.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "domain/limits.h"
#include "services/embedding/embedding_convert.h"
#include "services/runtime/status_convert.h"

namespace palate::services {
namespace {

namespace pb = palate::embedding::v1;
using embedding::EmbedResult;

// Inputs that are embedded by one call and whose results are sent together. Small, so that results
// are sent soon; the model batches across calls.
constexpr size_t kChunkInputs = 32;
// Chunks of one stream that run at the same time: while one is computed, the next is prepared.
constexpr int kChunksAtOnce = 2;
// Tasks of one stream that may wait for a thread: its chunks, and the parsing of one message.
constexpr size_t kTasksPerStream = kChunksAtOnce + 1;

struct StreamInput {
  std::string id;
  WireInput input;
  int64_t bytes = 0;
};

// Results to be sent, and what they subtract from the stream's limits once they are sent.
struct Outgoing {
  grpc::ByteBuffer buffer;
  int inputs = 0;
  int64_t bytes = 0;
};

// An input's error for the caller, who identifies the input by its id: field paths are relative to
// the input.
absl::Status OfInput(const absl::Status& status) {
  return MapFields(status,
                   [](const std::string& path) { return path.empty() ? "the input" : path; });
}

// Whether an error of a whole call is temporary: its inputs may be sent again on the same stream.
bool IsPassing(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsInternal(status);
}

}  // namespace

// One stream. Every change of the state that the mutex guards is followed by Advance, which starts
// what the new state allows. gRPC never calls back from within a Start or Finish, so they may be
// called with the mutex held.
class EmbedStreams::Stream final
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
      public std::enable_shared_from_this<Stream> {
 public:
  Stream(EmbedStreams& owner, RpcService& service, grpc::CallbackServerContext* context)
      : owner_(owner),
        service_(service),
        entered_(service.Enter(context->peer())),
        call_(DeadlineOf(*context)) {}

  void Start(const absl::Status& admitted) {
    const MutexLock lock(mutex_);
    self_ = shared_from_this();
    if (!entered_.ok()) Fail(entered_);
    if (!admitted.ok()) Fail(admitted);
    Advance();
  }

  void Stop() {
    const MutexLock lock(mutex_);
    if (final_.ok()) final_ = absl::UnavailableError("the server is shutting down");
    no_more_input_ = true;
    Advance();
  }

  void OnReadDone(bool ok) override {
    const MutexLock lock(mutex_);
    reading_ = false;
    if (!ok) {
      no_more_input_ = true;
    } else {
      Submit(&Stream::Parse, parsing_);
    }
    Advance();
  }

  void OnWriteDone(bool ok) override {
    const MutexLock lock(mutex_);
    writing_ = false;
    inputs_ -= outgoing_.front().inputs;
    bytes_ -= outgoing_.front().bytes;
    outgoing_.pop_front();
    if (!ok) Fail(absl::CancelledError("the caller cancelled the stream"));
    Advance();
  }

  void OnCancel() override {
    call_.Cancel();
    const MutexLock lock(mutex_);
    Fail(call_.Check());
    Advance();
  }

  void OnDone() override {
    owner_.Leave(shared_from_this());
    if (entered_.ok()) service_.Leave();
    // May be the last reference, so it is declared before the lock and destroyed after it.
    std::shared_ptr<Stream> self;
    const MutexLock lock(mutex_);
    self.swap(self_);
  }

 private:
  // Starts everything that may start now.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finished_) return;
    while (!failed_ && chunks_ < kChunksAtOnce && !pending_.empty()) {
      std::vector<StreamInput> chunk;
      while (!pending_.empty() && chunk.size() < kChunkInputs) {
        chunk.push_back(std::move(pending_.front()));
        pending_.pop_front();
      }
      claimed_.push_back(std::move(chunk));
      Submit(&Stream::EmbedChunk, chunks_);
    }

    if (!failed_ && !writing_ && !outgoing_.empty()) {
      writing_ = true;
      StartWrite(&outgoing_.front().buffer);
    }

    const bool has_room =
        inputs_ < owner_.options_.max_inputs && bytes_ < owner_.options_.max_bytes;
    if (!failed_ && !reading_ && parsing_ == 0 && !no_more_input_ && has_room) {
      reading_ = true;
      StartRead(&incoming_);
    }

    const bool idle = chunks_ == 0 && parsing_ == 0 && !writing_;
    const bool all_out = no_more_input_ && pending_.empty() && outgoing_.empty();
    if (idle && (failed_ || all_out)) {
      finished_ = true;
      Finish(ToGrpcStatus(final_));
    }
  }

  // Ends the stream as soon as none of its work runs any more; results that are not sent by then
  // are dropped. Only the first error counts.
  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (failed_) return;
    failed_ = true;
    final_ = status;
    call_.Cancel();  // running chunks end soon
  }

  // Runs `work` on the lane's pool, and counts it in `running` while it runs.
  void Submit(absl::Status (Stream::*work)(), int& running) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++running;
    ThreadPool& pool =
        settings_.options.lane == embedding::Lane::kBulk ? owner_.bulk_ : owner_.interactive_;
    const absl::Status queued = pool.Submit([self = shared_from_this(), work, &running] {
      const absl::Status status = RunGuarded([&] { return (self.get()->*work)(); });
      const MutexLock lock(self->mutex_);
      --running;
      if (!status.ok()) self->Fail(status);
      self->Advance();
    });
    if (queued.ok()) return;
    --running;
    Fail(queued);
  }

  // Turns the message that was read into pending inputs.
  absl::Status Parse() ABSL_LOCKS_EXCLUDED(mutex_) {
    pb::EmbedStreamRequest request;
    PALATE_RETURN_IF_ERROR(ParseRequest(incoming_, request));
    incoming_.Clear();
    if (request.inputs_size() > kMaxEmbedInputs) {
      return InvalidField("inputs", absl::StrCat("has ", request.inputs_size(), " elements"),
                          absl::StrCat("at most ", kMaxEmbedInputs));
    }

    std::optional<EmbedSettings> settings;
    if (request.has_settings() == has_settings_) {
      return has_settings_
                 ? InvalidField("settings", "is set again", "unset after the first message")
                 : InvalidField("settings", "is unset", "set in the first message");
    }
    if (request.has_settings()) {
      absl::StatusOr<EmbedSettings> opened = owner_.path_.Open(request.settings());
      if (!opened.ok()) return PrefixFields(opened.status(), "settings");
      settings = *std::move(opened);
    }

    std::vector<StreamInput> inputs;
    for (int i = 0; i < request.inputs_size(); ++i) {
      pb::EmbedStreamInput& input = *request.mutable_inputs(i);
      if (input.id().size() > kMaxIdBytes) {
        return InvalidField(absl::StrCat("inputs[", i, "].id"),
                            absl::StrCat("has ", input.id().size(), " bytes"),
                            absl::StrCat("at most ", kMaxIdBytes));
      }
      const auto bytes = static_cast<int64_t>(input.ByteSizeLong());
      inputs.push_back({std::move(*input.mutable_id()), FromProto(input.input()), bytes});
    }

    const MutexLock lock(mutex_);
    if (settings.has_value()) settings_ = *std::move(settings);
    has_settings_ = true;
    for (StreamInput& input : inputs) {
      ++inputs_;
      bytes_ += input.bytes;
      pending_.push_back(std::move(input));
    }
    return absl::OkStatus();
  }

  // Embeds the oldest claimed chunk and queues a message with its results.
  absl::Status EmbedChunk() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<StreamInput> chunk;
    EmbedSettings settings;
    {
      const MutexLock lock(mutex_);
      chunk = std::move(claimed_.front());
      claimed_.pop_front();
      settings = settings_;
    }
    PALATE_RETURN_IF_ERROR(call_.Check());

    Outgoing outgoing;
    std::vector<WireInput> inputs;
    for (StreamInput& input : chunk) {
      ++outgoing.inputs;
      outgoing.bytes += input.bytes;
      inputs.push_back(std::move(input.input));
    }

    absl::StatusOr<std::vector<EmbedResult>> results =
        owner_.path_.Embed(std::move(inputs), settings, call_.context());
    if (!results.ok() && !IsPassing(results.status())) return results.status();

    pb::EmbedStreamResponse response;
    for (size_t i = 0; i < chunk.size(); ++i) {
      pb::EmbedStreamResult* out = response.add_results();
      out->set_id(std::move(chunk[i].id));
      const absl::Status status = results.ok() ? (*results)[i].status : results.status();
      if (status.ok()) {
        *out->mutable_result() = ToProto((*results)[i], settings.model->embedder->info());
      } else {
        *out->mutable_error() = ToRpcStatus(OfInput(status));
      }
    }

    PALATE_RETURN_IF_ERROR(SerializeResponse(response, outgoing.buffer));
    const MutexLock lock(mutex_);
    outgoing_.push_back(std::move(outgoing));
    return absl::OkStatus();
  }

  EmbedStreams& owner_;
  RpcService& service_;
  const absl::Status entered_;
  Call call_;

  Mutex mutex_;
  // Keeps the object alive for gRPC, from Start to OnDone.
  std::shared_ptr<Stream> self_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer incoming_;  // used by gRPC while reading_, by Parse while parsing_
  // Set by the first message's Parse, which runs before any other work of the stream.
  bool has_settings_ = false;
  EmbedSettings settings_;
  std::deque<StreamInput> pending_ ABSL_GUARDED_BY(mutex_);
  // Chunks whose work has not started.
  std::deque<std::vector<StreamInput>> claimed_ ABSL_GUARDED_BY(mutex_);
  // gRPC uses the first while writing_.
  std::deque<Outgoing> outgoing_ ABSL_GUARDED_BY(mutex_);
  // Unanswered inputs (pending, claimed, computing or outgoing) and their bytes.
  int inputs_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  int parsing_ ABSL_GUARDED_BY(mutex_) = 0;
  int chunks_ ABSL_GUARDED_BY(mutex_) = 0;
  bool no_more_input_ ABSL_GUARDED_BY(mutex_) = false;
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status final_ ABSL_GUARDED_BY(mutex_);
};

EmbedStreams::EmbedStreams(EmbedPath& path, const Options& options)
    : path_(path),
      options_(options),
      interactive_("embed-streams", options.threads,
                   kTasksPerStream * static_cast<size_t>(options.max_streams)),
      bulk_("embed-bulk", options.threads,
            kTasksPerStream * static_cast<size_t>(options.max_streams)) {}

EmbedStreams::~EmbedStreams() = default;

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* EmbedStreams::Open(
    RpcService& service, grpc::CallbackServerContext* context) {
  auto stream = std::make_shared<Stream>(*this, service, context);
  stream->Start(Admit(stream));
  return stream.get();  // which keeps itself alive until OnDone
}

absl::Status EmbedStreams::Admit(const std::shared_ptr<Stream>& stream) {
  const MutexLock lock(mutex_);
  if (stopping_) return absl::UnavailableError("the server is shutting down");
  if (static_cast<int>(streams_.size()) >= options_.max_streams) {
    return absl::ResourceExhaustedError(
        absl::StrCat("embedding: ", options_.max_streams, " streams are open, which is the limit"));
  }
  streams_.insert(stream);
  return absl::OkStatus();
}

void EmbedStreams::Leave(const std::shared_ptr<Stream>& stream) {
  const MutexLock lock(mutex_);
  streams_.erase(stream);
}

void EmbedStreams::Stop() {
  std::set<std::shared_ptr<Stream>> streams;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    streams = streams_;
  }
  for (const std::shared_ptr<Stream>& stream : streams) stream->Stop();
}

int EmbedStreams::open() const {
  const MutexLock lock(mutex_);
  return static_cast<int>(streams_.size());
}

}  // namespace palate::services
