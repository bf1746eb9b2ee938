// Share of an Embed request's time that is spent outside the model, for movies of
// ../shared/data/movielens (title and plot) over gRPC on one machine. Prints for each request size
// the medians of requests that are timed one by one:
//   request     wall time of the call without the cache
//   tokenize    processor time of tokenizing the request's texts
//   wire        processor time of serializing and parsing request and response, on both sides
//   share       (tokenize + wire) / request
//   cached      the same request again, served from the cache
//
//   embedding_service_bench [model folder] [movielens folder]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "embedding/encoder.h"
#include "offline/import/movielens_reader.h"
#include "palate/embedding/v1/embedding_service.grpc.pb.h"
#include "services/embedding/embedding_service.h"
#include "services/runtime/channel.h"
#include "services/runtime/client_call.h"
#include "services/runtime/server.h"

namespace palate::services {
namespace {

namespace pb = palate::embedding::v1;
using Stub = pb::EmbeddingService::StubInterface::async_interface;

constexpr int kRounds = 15;
constexpr absl::Duration kLimit = absl::Minutes(5);

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

double ProcessorMs() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

double MedianMs(const std::function<void()>& work) {
  std::vector<double> times;
  for (int i = 0; i < kRounds; ++i) {
    const double began = ProcessorMs();
    work();
    times.push_back(ProcessorMs() - began);
  }
  return Median(std::move(times));
}

// Serializes a message and parses it again, as client and server do.
double WireMs(const google::protobuf::Message& message) {
  std::unique_ptr<google::protobuf::Message> copy(message.New());
  return MedianMs([&] {
    grpc::ByteBuffer bytes;
    if (!SerializeResponse(message, bytes).ok() || !ParseRequest(bytes, *copy).ok()) std::abort();
  });
}

double TokenizeMs(const embedding::Encoder& encoder, const pb::EmbedRequest& request) {
  return MedianMs([&] {
    for (const pb::EmbedInput& input : request.inputs()) {
      for (const std::string& field : input.fields()) {
        embedding::PassContent content;
        content.text = field;
        if (!encoder.Prepare(content).ok()) std::abort();
      }
    }
  });
}

// Wall time of one call.
absl::StatusOr<double> CallMs(pb::EmbeddingService::Stub& stub, const pb::EmbedRequest& request,
                              pb::EmbedResponse& response) {
  const absl::Time began = absl::Now();
  PALATE_RETURN_IF_ERROR(
      CallUnary(stub.async(), &Stub::Embed, request, response, {.deadline = began + kLimit}));
  if (!response.failures().empty())
    return absl::InternalError(response.failures(0).status().message());
  return absl::ToDoubleMilliseconds(absl::Now() - began);
}

absl::StatusOr<double> MedianCallMs(pb::EmbeddingService::Stub& stub,
                                    const pb::EmbedRequest& request, pb::EmbedResponse& response) {
  std::vector<double> times;
  for (int i = 0; i < kRounds; ++i) {
    PALATE_ASSIGN_OR_RETURN(const double time, CallMs(stub, request, response));
    times.push_back(time);
  }
  return Median(std::move(times));
}

absl::Status Measure(pb::EmbeddingService::Stub& stub, const embedding::Encoder& encoder,
                     const std::vector<offline::Movie>& movies, size_t inputs, pb::EmbedRole role) {
  pb::EmbedRequest request;
  request.add_spaces("text");
  for (size_t i = 0; i < inputs; ++i) {
    // Evenly over the movies, because their ids are roughly in order of their age.
    const Item& item = movies[i * movies.size() / inputs].item;
    pb::EmbedInput* input = request.add_inputs();
    input->set_role(role);
    input->add_fields(item.title);
    if (role == pb::EMBED_ROLE_ITEM) input->add_fields(item.description);
  }

  pb::EmbedResponse response;
  PALATE_RETURN_IF_ERROR(CallMs(stub, request, response).status());  // warms up
  PALATE_ASSIGN_OR_RETURN(const double whole, MedianCallMs(stub, request, response));

  const double tokenize = TokenizeMs(encoder, request);
  const double wire = WireMs(request) + WireMs(response);

  request.set_catalog("bench");
  PALATE_RETURN_IF_ERROR(CallMs(stub, request, response).status());
  PALATE_ASSIGN_OR_RETURN(const double cached, MedianCallMs(stub, request, response));

  int64_t tokens = 0;
  for (const pb::EmbedResult& result : response.results()) tokens += result.tokens();
  std::printf("%-8s %6zu %8ld %10.2f ms %9.3f ms %8.3f ms %7.2f %% %9.2f ms\n",
              role == pb::EMBED_ROLE_QUERY ? "queries" : "items", inputs, static_cast<long>(tokens),
              whole, tokenize, wire, 100 * (tokenize + wire) / whole, cached);
  return absl::OkStatus();
}

absl::Status Run(const std::string& model_folder, const std::string& data_folder,
                 const std::string& cache_folder) {
  PALATE_ASSIGN_OR_RETURN(offline::MovieLens data, offline::ReadMovieLens(data_folder));
  std::erase_if(data.movies,
                [](const offline::Movie& movie) { return movie.item.description.empty(); });
  if (data.movies.empty()) return absl::NotFoundError(data_folder + " has no plots");

  EmbeddingConfig config;
  config.item_cache.dir = cache_folder;

  PALATE_ASSIGN_OR_RETURN(const auto model,
                          embedding::EmbeddingModel::Load(model_folder, config.load));
  PALATE_ASSIGN_OR_RETURN(
      ServiceSet services,
      MakeEmbeddingServices(config, EmbeddingModels{{config.default_model, model}}));
  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<Server> server,
                          Server::Start(ServerConfig(), std::move(services)));

  const auto stub =
      pb::EmbeddingService::NewStub(DialTcp(absl::StrCat("127.0.0.1:", server->port())));

  std::printf("%-8s %6s %8s %13s %12s %11s %9s %12s\n", "inputs", "count", "tokens", "request",
              "tokenize", "wire", "share", "cached");

  PALATE_RETURN_IF_ERROR(Measure(*stub, model->encoder(), data.movies, 1, pb::EMBED_ROLE_QUERY));
  for (const size_t inputs : {1, 8, 32, 128}) {
    PALATE_RETURN_IF_ERROR(
        Measure(*stub, model->encoder(), data.movies, inputs, pb::EMBED_ROLE_ITEM));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace palate::services

int main(int argc, char** argv) {
  const char* shared = std::getenv("PALATE_SHARED_DIR");
  const std::string model =
      argc > 1 ? argv[1] : palate::services::SharedFile("models/dual_encoder");
  const std::string data =
      argc > 2 ? argv[2]
               : std::string(shared != nullptr ? shared : PALATE_SOURCE_DIR "/../shared") +
                     "/data/movielens";
  std::string cache = (std::filesystem::temp_directory_path() / "palate-bench-XXXXXX").string();
  if (mkdtemp(cache.data()) == nullptr) return 1;
  const absl::Status status = palate::services::Run(model, data, cache + "/cache");
  std::filesystem::remove_all(cache);
  if (status.ok()) return 0;
  std::fprintf(stderr, "embedding_service_bench: %s\n", status.ToString().c_str());
  return 1;
}
