// EmbedStream from the caller's view: a real server and a real stream.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "services/runtime/status_convert.h"
#include "tests/eventually.h"
#include "tests/services/embedding/embedding_parts.h"

namespace palate::services {
namespace {

using ::testing::HasSubstr;
using Stream =
    grpc::ClientReaderWriter<embedding_pb::EmbedStreamRequest, embedding_pb::EmbedStreamResponse>;

class EmbeddingStreamTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(); }
  void TearDown() override { valve_->Set(true); }
  void Start() {
    config_.default_model = "valve";
    server_ = std::make_unique<EmbeddingServer>(
        config_,
        EmbeddingModels{{"valve", embedding::EmbeddingModel::FromEncoder(
                                      std::make_unique<embedding::ValveEncoder>(valve_))}});
  }

  std::unique_ptr<Stream> Open() { return server_->stub().EmbedStream(&context_); }

  static embedding_pb::EmbedStreamRequest First() {
    embedding_pb::EmbedStreamRequest request;
    request.mutable_settings()->set_lane(embedding_pb::LANE_BULK);
    return request;
  }
  static embedding_pb::EmbedStreamRequest With(const std::string& id, const std::string& text,
                                               embedding_pb::EmbedStreamRequest request = {}) {
    embedding_pb::EmbedStreamInput* input = request.add_inputs();
    input->set_id(id);
    *input->mutable_input() = TextInput(text);
    return request;
  }
  // Writes `requests`, closes, and waits for the end.
  absl::Status Run(const std::vector<embedding_pb::EmbedStreamRequest>& requests) {
    const auto stream = Open();
    for (const auto& request : requests) {
      if (!stream->Write(request)) break;
    }
    stream->WritesDone();

    embedding_pb::EmbedStreamResponse response;
    while (stream->Read(&response)) {
      for (const embedding_pb::EmbedStreamResult& result : response.results())
        results_.push_back(result);
    }
    return ToAbslStatus(stream->Finish());
  }

  std::shared_ptr<embedding::Valve> valve_ = std::make_shared<embedding::Valve>();
  EmbeddingConfig config_;
  std::unique_ptr<EmbeddingServer> server_;
  grpc::ClientContext context_;
  std::vector<embedding_pb::EmbedStreamResult> results_;
};

TEST_F(EmbeddingStreamTest, EveryInputIsAnsweredOnceUnderItsId) {
  std::vector<embedding_pb::EmbedStreamRequest> requests = {First()};
  int next = 0;
  for (const int size : {1, 0, 100, 37, 512, 3}) {
    requests.emplace_back();
    for (int i = 0; i < size; ++i, ++next)
      requests.back() = With(absl::StrCat("id-", next), "text", std::move(requests.back()));
  }

  std::thread writer;
  const auto stream = Open();
  writer = std::thread([&] {
    for (const auto& request : requests) EXPECT_TRUE(stream->Write(request));
    stream->WritesDone();
  });

  std::multiset<std::string> answered;
  embedding_pb::EmbedStreamResponse response;
  while (stream->Read(&response)) {
    EXPECT_GT(response.results_size(), 0);
    for (const embedding_pb::EmbedStreamResult& result : response.results()) {
      answered.insert(result.id());
      ASSERT_EQ(result.result().vectors_size(), 1) << result.error().message();
      EXPECT_EQ(result.result().vectors(0).vector().space().name(), "text");
    }
  }

  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answered.size(), static_cast<size_t>(next));
  for (int i = 0; i < next; ++i) EXPECT_EQ(answered.count(absl::StrCat("id-", i)), 1u) << i;
}

TEST_F(EmbeddingStreamTest, InputThatIsWrongFailsAloneUnderItsIdWithItsField) {
  ASSERT_TRUE(Run({With("good", "text", First()), With("bad", "caf\xE9"), With("also good", "text"),
                   With("empty", "")})
                  .ok());

  ASSERT_EQ(results_.size(), 4u);
  for (const auto& result : results_) {
    if (result.id() == "good" || result.id() == "also good") {
      EXPECT_TRUE(result.has_result()) << result.id();
      continue;
    }
    ASSERT_TRUE(result.has_error()) << result.id();
    const absl::Status status = FromRpcStatus(result.error());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                ::testing::StartsWith(result.id() == "bad" ? "fields[0] " : "the input "));
  }
}

TEST_F(EmbeddingStreamTest, WrongUseEndsTheStreamAndSaysWhy) {
  struct Case {
    std::vector<embedding_pb::EmbedStreamRequest> requests;
    absl::StatusCode code;
    std::string message;
  };

  embedding_pb::EmbedStreamRequest unknown = First();
  unknown.mutable_settings()->set_model("nothing");
  embedding_pb::EmbedStreamRequest space = With("a", "text", First());
  space.mutable_settings()->add_spaces("audio");
  embedding_pb::EmbedStreamRequest dimensions = First();
  dimensions.mutable_settings()->set_output_dimensions(5);
  embedding_pb::EmbedStreamRequest many = First();
  for (int i = 0; i < 513; ++i) many = With("a", "text", std::move(many));

  const std::vector<Case> cases = {
      {{With("a", "text")}, absl::StatusCode::kInvalidArgument, "settings is unset"},
      {{First(), First()}, absl::StatusCode::kInvalidArgument, "settings is set again"},
      {{unknown}, absl::StatusCode::kNotFound, "nothing"},
      {{space}, absl::StatusCode::kInvalidArgument, "spaces[0] is \"audio\""},
      {{dimensions}, absl::StatusCode::kInvalidArgument, "settings.output_dimensions is 5"},
      {{many}, absl::StatusCode::kInvalidArgument, "inputs has 513 elements"},
      {{With(std::string(257, 'x'), "text", First())},
       absl::StatusCode::kInvalidArgument,
       "inputs[0].id has 257 bytes"},
  };

  for (const Case& c : cases) {
    grpc::ClientContext context;
    const auto stream = server_->stub().EmbedStream(&context);
    for (const auto& request : c.requests) stream->Write(request);

    embedding_pb::EmbedStreamResponse response;
    while (stream->Read(&response)) {
    }
    const absl::Status status = ToAbslStatus(stream->Finish());
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST_F(EmbeddingStreamTest, StreamThatIsClosedWithoutAMessageEndsWell) {
  EXPECT_TRUE(Run({}).ok());
}

TEST_F(EmbeddingStreamTest, StreamIsNotReadBeyondItsRoom) {
  config_.streams.max_inputs = 4;
  Start();
  valve_->Set(false);

  const auto stream = Open();
  constexpr int kInputs = 40;
  std::atomic<int> written = 0;
  std::thread writer([&] {
    EXPECT_TRUE(stream->Write(First()));
    for (int i = 0; i < kInputs; ++i) {
      EXPECT_TRUE(stream->Write(With("a", "text")));
      ++written;
    }
    stream->WritesDone();
  });

  EXPECT_TRUE(Eventually([&] { return written >= 4; }));
  // With an in-process channel a write ends when the server has taken the message. One message
  // beyond the four may be in transit.
  for (int i = 0; i < 20; ++i) {
    server_->Stats();
    ASSERT_LE(written, 5);
  }

  valve_->Set(true);
  embedding_pb::EmbedStreamResponse response;
  int answered = 0;
  while (stream->Read(&response)) answered += response.results_size();
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());

  EXPECT_EQ(answered, kInputs);
}

TEST_F(EmbeddingStreamTest, StreamWhoseResultsAreNotReadIsNotReadEither) {
  config_.streams.max_inputs = 4;
  Start();
  const auto stream = Open();
  std::atomic<int> written = 0;
  std::thread writer([&] {
    stream->Write(First());
    while (written < 1000 && stream->Write(With("a", "text"))) ++written;
  });

  EXPECT_TRUE(Eventually([&] { return written >= 4; }));
  for (int i = 0; i < 20; ++i) {
    server_->Stats();
    ASSERT_LE(written, 40) << "the caller has not read one result";
  }

  context_.TryCancel();
  writer.join();
  stream->Finish();
}

TEST_F(EmbeddingStreamTest, CancelledStreamStopsCosting) {
  valve_->Set(false);
  const auto stream = Open();
  ASSERT_TRUE(stream->Write(With("a", "text", First())));
  EXPECT_TRUE(Eventually([&] { return server_->Stats().engines(0).queued_tokens_bulk() > 0; }));

  context_.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return server_->Stats().open_streams() == 0; }))
      << "although its batch still hangs";
}

TEST_F(EmbeddingStreamTest, StreamEndsAtItsDeadline) {
  valve_->Set(false);
  context_.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(300)));
  EXPECT_EQ(Run({With("a", "text", First())}).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(Eventually([&] { return server_->Stats().open_streams() == 0; }));
}

TEST_F(EmbeddingStreamTest, StreamBeyondTheLimitIsRefusedAtOnce) {
  config_.streams.max_streams = 1;
  Start();
  const auto first = Open();
  ASSERT_TRUE(first->Write(First()));
  EXPECT_TRUE(Eventually([&] { return server_->Stats().open_streams() == 1; }));

  grpc::ClientContext context;
  const auto second = server_->stub().EmbedStream(&context);
  const grpc::Status refused = second->Finish();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("the limit"));

  first->WritesDone();
  EXPECT_TRUE(first->Finish().ok());
}

TEST_F(EmbeddingStreamTest, FullLaneFailsInputsNotTheStream) {
  config_.embedder.max_queued_tokens_bulk = 1;
  Start();
  valve_->Set(false);

  const auto stream = Open();
  ASSERT_TRUE(stream->Write(With("first", "text", First())));
  EXPECT_TRUE(Eventually([&] { return server_->Stats().engines(0).queued_tokens_bulk() > 0; }));

  ASSERT_TRUE(stream->Write(With("second", "text")));
  embedding_pb::EmbedStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.results_size(), 1);
  EXPECT_EQ(response.results(0).id(), "second");
  EXPECT_EQ(response.results(0).error().code(),
            static_cast<int>(absl::StatusCode::kResourceExhausted));

  valve_->Set(true);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.results(0).id(), "first");
  EXPECT_TRUE(response.results(0).has_result());

  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(EmbeddingStreamTest, ServerThatShutsDownAnswersWhatItTookAndEndsTheStream) {
  valve_->Set(false);
  const auto stream = Open();
  ASSERT_TRUE(stream->Write(With("a", "text", First())));
  EXPECT_TRUE(Eventually([&] { return server_->Stats().engines(0).queued_tokens_bulk() > 0; }));

  std::thread draining([&] { server_->server().Drain(); });
  EXPECT_TRUE(Eventually([&] { return !server_->Serves(""); }));

  valve_->Set(true);
  embedding_pb::EmbedStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.results(0).id(), "a");
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  draining.join();
}

}  // namespace
}  // namespace palate::services
