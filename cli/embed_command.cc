// palate embed --model DIR --in items.jsonl --out vectors.safetensors.

#include <algorithm>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "cli/client_flags.h"
#include "cli/commands.h"
#include "embedding/embedder.h"
#include "embedding/embedding_model.h"
#include "offline/console.h"
#include "offline/embed/embed_file.h"

namespace palate::services {
namespace {

constexpr int kMostPixels = 1 << 30;

const char kEmbedHelp[] =
    "palate embed: embeds a file of items or queries in this process\n\n"
    "  palate embed --model DIR --in FILE.jsonl --out FILE.safetensors\n\n"
    "  --model DIR          a dual encoder, or a Hugging Face folder: bert, clip, siglip, qwen2, "
    "qwen3, llama, qwen2_5_vl, qwen3_vl,\n"
    "                       or a LoRA adapter that names its base\n"
    "  --in FILE            JSON lines: items as for `palate import items`, or {\"id\": …, "
    "\"text\": …, \"images\": [FILE, …]}\n"
    "  --out FILE           safetensors: `vectors` [n, dimensions] float32; the ids, in order, are "
    "\"ids\" in its metadata\n"
    "  --images DIR         folder of the pictures that lines name (default: the input's folder)\n"
    "  --space NAMES        text, image, fused; several by commas: then also vectors.NAME and "
    "rows.NAME for each\n"
    "                       (default: fused if the model reads pictures, else text)\n"
    "  --query              the lines are queries, not items\n"
    "  --instruction TEXT   the task of the queries, if the model uses one\n"
    "  --dimensions N       cut the vectors to N dimensions and normalize them again\n"
    "  --dtype TYPE         fp32 (default), bf16, fp16, or auto: chosen for the device\n"
    "  --device NAME        cpu (default), cuda, cuda:1, or auto\n"
    "  --adapter DIR        a LoRA adapter to merge\n"
    "  --batch-tokens N     tokens per batch; a picture counts its patches (default "
    "4096)\n"
    "  --max-pixels N       pixels of a picture, for vision-language models (default: the model's "
    "own)\n"
    "  --threads N          threads of the computation (default: all cores)\n\n"
    "  Exit codes: 0 every line was embedded; 1 the command failed; 2 the command line is wrong; 3 "
    "lines, "
    "or parts of them, were not\n";

struct EmbedFlags {
  embedding::EmbeddingModelOptions model;
  embedding::EmbedderOptions embedder;
  offline::EmbedFileOptions file;
  std::string folder;
};

absl::StatusOr<std::string> Required(Flags& flags, const std::string& name) {
  const std::string value = flags.Text(name);
  if (value.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("--", name, " is required; see palate embed --help"));
  return value;
}

absl::StatusOr<EmbedFlags> ParseEmbedFlags(Flags& flags) {
  EmbedFlags parsed;
  PALATE_ASSIGN_OR_RETURN(parsed.folder, Required(flags, "model"));
  PALATE_ASSIGN_OR_RETURN(parsed.file.input, Required(flags, "in"));
  PALATE_ASSIGN_OR_RETURN(parsed.file.output, Required(flags, "out"));

  const size_t slash = parsed.file.input.rfind('/');
  parsed.file.images_folder =
      flags.Text("images", slash == std::string::npos ? "." : parsed.file.input.substr(0, slash));
  if (const std::string spaces = flags.Text("space"); !spaces.empty())
    parsed.file.spaces = absl::StrSplit(spaces, ',');

  parsed.file.queries = flags.Switch("query");
  parsed.file.instruction = flags.Text("instruction");
  if (!parsed.file.instruction.empty() && !parsed.file.queries) {
    return absl::InvalidArgumentError("--instruction applies to queries only: pass --query too");
  }

  PALATE_ASSIGN_OR_RETURN(parsed.file.dimensions, flags.Int("dimensions", 0, 0, 1 << 20));
  parsed.model.dtype = flags.Text("dtype", parsed.model.dtype);
  parsed.model.device = flags.Text("device", parsed.model.device);
  parsed.model.adapter = flags.Text("adapter");

  PALATE_ASSIGN_OR_RETURN(const int max_pixels, flags.Int("max-pixels", 0, 0, kMostPixels));
  parsed.model.max_pixels = max_pixels;
  PALATE_ASSIGN_OR_RETURN(const int batch_tokens, flags.Int("batch-tokens", 4096, 1, 1 << 20));
  parsed.embedder.batch_tokens = batch_tokens;
  PALATE_ASSIGN_OR_RETURN(parsed.embedder.intra_op_threads, flags.Int("threads", 0, 0, 1024));
  return parsed;
}

void SayReport(const offline::EmbedFileReport& report, const std::string& output,
               offline::Reporter& reporter) {
  for (const offline::Malformed& malformed : report.source.malformed) {
    reporter.Say(absl::StrCat("malformed: ", offline::Describe(malformed)));
  }
  if (report.source.malformed_count > static_cast<int64_t>(report.source.malformed.size())) {
    reporter.Say(absl::StrCat("malformed: ", report.source.malformed_count, " problems in all"));
  }

  const double seconds = absl::ToDoubleSeconds(report.spent);
  reporter.Say(absl::StrFormat(
      "%s: %d vectors of %d dimensions; %d lines failed, %d were truncated; %d tokens in "
      "%.1f s (%.0f/s)",
      output, report.embedded, report.dimensions, report.failed, report.truncated, report.tokens,
      seconds, static_cast<double>(report.tokens) / std::max(seconds, 1e-9)));

  for (const SpaceKey& space : report.spaces)
    reporter.Say(absl::StrCat("  ", space.name, ": fingerprint ", space.fingerprint));
}

}  // namespace

absl::Status RunEmbed(const Arguments& arguments) {
  PALATE_ASSIGN_OR_RETURN(Flags flags, Flags::Parse(arguments, {"help", "query"}));
  if (flags.Switch("help")) {
    std::cout << kEmbedHelp;
    return absl::OkStatus();
  }
  PALATE_ASSIGN_OR_RETURN(const EmbedFlags parsed, ParseEmbedFlags(flags));

  if (!flags.positional().empty())
    return absl::InvalidArgumentError("palate embed takes flags only; see palate embed --help");
  PALATE_RETURN_IF_ERROR(flags.CheckAllUsed());

  PALATE_ASSIGN_OR_RETURN(const auto model,
                          embedding::EmbeddingModel::Load(parsed.folder, parsed.model));
  PALATE_ASSIGN_OR_RETURN(const std::unique_ptr<embedding::Embedder> embedder,
                          embedding::Embedder::Create(model, parsed.embedder));

  offline::ConsoleReporter reporter;
  PALATE_ASSIGN_OR_RETURN(const offline::EmbedFileReport report,
                          offline::EmbedFile(*embedder, parsed.file, reporter.Step("embedding")));
  SayReport(report, parsed.file.output, reporter);
  if (const std::string& reason = model->info().dtype_reason; !reason.empty())
    reporter.Say(absl::StrCat("  computed in ", model->info().dtype, " (", reason, ")"));
  return CheckAllTaken(report.source.malformed_count);
}

}  // namespace palate::services
