#include "embedding/cache/cached_embedder.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "embedding/cache/content_key.h"

namespace palate::embedding {
namespace {

CachedVector Remember(const EmbedResult& result, const std::string& space) {
  CachedVector kept;
  kept.tokens = result.tokens;
  kept.truncated_tokens = result.truncated_tokens;
  for (const SpaceVector& vector : result.vectors) {
    if (vector.space.name != space) continue;
    kept.present = true;
    kept.values = vector.values;
  }
  return kept;
}

}  // namespace

// The state of one call of Embed.
class CachedEmbedder::Pass {
 public:
  Pass(CachedEmbedder& owner, std::vector<EmbedInput>& inputs, const EmbedOptions& options,
       const Caller& caller, std::vector<SpaceKey> spaces, const CallContext& context)
      : owner_(owner),
        inputs_(inputs),
        options_(options),
        context_(context),
        user_{caller.catalog, caller.user_id},
        spaces_(std::move(spaces)),
        generation_(owner.queries_ != nullptr ? owner.queries_->generation() : 0),
        elements_(inputs.size()),
        results_(inputs.size()) {
    for (size_t i = 0; i < inputs.size(); ++i) Describe(inputs[i], caller, elements_[i]);
  }

  absl::StatusOr<std::vector<EmbedResult>> Run() {
    std::vector<size_t> missing(inputs_.size());
    for (size_t i = 0; i < missing.size(); ++i) missing[i] = i;
    missing = Find(missing);
    // Repeats only if a call failed whose result this one waits for.
    while (!missing.empty()) PALATE_RETURN_IF_ERROR(ComputeOrWait(missing));
    return std::move(results_);
  }

 private:
  enum class Place { kNowhere, kDisk, kMemory };
  struct Element {
    Place place = Place::kNowhere;
    std::vector<std::string> keys;  // one per space
    std::string flight;             // equal for inputs that need the same work
  };
  struct Guest {
    size_t index;
    std::shared_ptr<SingleFlight::Flight> flight;
  };

  void Describe(const EmbedInput& input, const Caller& caller, Element& element) const {
    const bool personal = input.role == EmbedRole::kQuery || !caller.user_id.empty();
    if (personal && owner_.queries_ != nullptr) element.place = Place::kMemory;
    if (!personal && owner_.items_ != nullptr) element.place = Place::kDisk;
    if (element.place == Place::kNowhere) return;

    const std::string content = ContentDigest(input, options_.instruction);
    for (const SpaceKey& space : spaces_) {
      // Vectors of another numeric type are comparable but not equal: a server that is configured
      // for fp32 must not return bf16 vectors.
      element.keys.push_back(
          ItemCache::Key(caller.catalog, content, space.name,
                         absl::StrCat(space.fingerprint, "/", owner_.info_.dtype)));
      element.flight += element.keys.back();
    }

    // Lanes have separate flights, so that an interactive call does not wait for a bulk one.
    absl::StrAppend(&element.flight, options_.lane == Lane::kBulk ? "b" : "i", personal ? "q" : "c",
                    caller.user_id);
  }

  Counters& CountersOf(const Element& element) const {
    return element.place == Place::kDisk ? owner_.item_counters_ : owner_.query_counters_;
  }

  // Fills the cached results among `wanted`; returns the others.
  std::vector<size_t> Find(const std::vector<size_t>& wanted) {
    std::map<Place, std::vector<std::string>> keys;
    for (const size_t i : wanted) {
      std::vector<std::string>& all = keys[elements_[i].place];
      all.insert(all.end(), elements_[i].keys.begin(), elements_[i].keys.end());
    }

    std::map<Place, std::vector<std::optional<CachedVector>>> found;
    if (!keys[Place::kDisk].empty()) found[Place::kDisk] = owner_.items_->Get(keys[Place::kDisk]);
    if (!keys[Place::kMemory].empty())
      found[Place::kMemory] = owner_.queries_->Get(user_, keys[Place::kMemory]);

    std::map<Place, size_t> next;
    std::vector<size_t> missing;
    for (const size_t i : wanted) {
      const Element& element = elements_[i];
      if (element.place == Place::kNowhere) {
        missing.push_back(i);
        continue;
      }
      auto* const vectors = found[element.place].data() + next[element.place];
      next[element.place] += spaces_.size();
      if (Assemble(vectors, results_[i])) {
        ++CountersOf(element).hits;
      } else {
        missing.push_back(i);
      }
    }
    return missing;
  }

  // Joins one vector per space; false, with the result unchanged, if one is missing.
  bool Assemble(std::optional<CachedVector>* vectors, EmbedResult& result) const {
    for (size_t s = 0; s < spaces_.size(); ++s) {
      if (!vectors[s].has_value()) return false;
    }

    for (size_t s = 0; s < spaces_.size(); ++s) {
      result.tokens = std::max(result.tokens, vectors[s]->tokens);
      result.truncated_tokens = std::max(result.truncated_tokens, vectors[s]->truncated_tokens);
      if (vectors[s]->present)
        result.vectors.push_back({spaces_[s], std::move(vectors[s]->values)});
    }
    return true;
  }

  // Computes what no other call is computing, then waits for what others compute. `missing`
  // receives what is still missing.
  absl::Status ComputeOrWait(std::vector<size_t>& missing) {
    std::vector<size_t> owned;
    std::vector<Guest> guests;
    const absl::Cleanup land = [&] {
      for (const size_t i : owned) owner_.flights_.Land(elements_[i].flight, std::nullopt);
    };

    std::vector<size_t> alone;
    for (const size_t i : missing) {
      if (elements_[i].place == Place::kNowhere) {
        alone.push_back(i);
        continue;
      }
      SingleFlight::Seat seat = owner_.flights_.Join(elements_[i].flight);
      if (seat.owner) {
        owned.push_back(i);
      } else {
        guests.push_back({i, std::move(seat.flight)});
      }
    }

    // Another call may have finished between the cache lookup and Join.
    std::vector<size_t> computed = Find(owned);
    for (const size_t i : computed) ++CountersOf(elements_[i]).misses;
    alone.insert(alone.end(), computed.begin(), computed.end());
    PALATE_RETURN_IF_ERROR(Compute(alone));
    Keep(computed);
    for (const size_t i : owned) owner_.flights_.Land(elements_[i].flight, results_[i]);
    owned.clear();

    missing.clear();
    for (const Guest& guest : guests) {
      PALATE_ASSIGN_OR_RETURN(auto shared, owner_.flights_.Wait(*guest.flight, context_));
      if (!shared.has_value()) {
        missing.push_back(guest.index);
        continue;
      }
      results_[guest.index] = *std::move(shared);
      ++CountersOf(elements_[guest.index]).shared;
    }
    return absl::OkStatus();
  }

  absl::Status Compute(const std::vector<size_t>& indices) {
    if (indices.empty()) return absl::OkStatus();
    std::vector<EmbedInput> inputs;
    inputs.reserve(indices.size());
    for (const size_t i : indices) inputs.push_back(std::move(inputs_[i]));

    PALATE_ASSIGN_OR_RETURN(std::vector<EmbedResult> computed,
                            owner_.compute_(std::move(inputs), options_, context_));
    for (size_t k = 0; k < indices.size(); ++k) results_[indices[k]] = std::move(computed[k]);
    return absl::OkStatus();
  }

  void Keep(const std::vector<size_t>& computed) {
    std::vector<std::pair<std::string, CachedVector>> disk;
    std::vector<std::pair<std::string, CachedVector>> memory;
    for (const size_t i : computed) {
      if (!results_[i].status.ok() || !results_[i].failed_parts.empty()) continue;
      auto& entries = elements_[i].place == Place::kDisk ? disk : memory;
      for (size_t s = 0; s < spaces_.size(); ++s)
        entries.emplace_back(elements_[i].keys[s], Remember(results_[i], spaces_[s].name));
    }

    if (!disk.empty()) owner_.items_->Put(disk);
    if (!memory.empty()) owner_.queries_->Put(user_, generation_, memory);
  }

  CachedEmbedder& owner_;
  std::vector<EmbedInput>& inputs_;
  const EmbedOptions& options_;
  const CallContext& context_;
  const QueryCache::Owner user_;
  const std::vector<SpaceKey> spaces_;
  const int64_t generation_;
  std::vector<Element> elements_;
  std::vector<EmbedResult> results_;
};

CachedEmbedder::CachedEmbedder(Compute compute, ModelInfo info, ItemCache* items,
                               QueryCache* queries)
    : compute_(std::move(compute)), info_(std::move(info)), items_(items), queries_(queries) {}

absl::StatusOr<std::vector<EmbedResult>> CachedEmbedder::Embed(std::vector<EmbedInput> inputs,
                                                               const EmbedOptions& options,
                                                               const Caller& caller,
                                                               const CallContext& context) {
  if (caller.catalog.empty() || (items_ == nullptr && queries_ == nullptr))
    return compute_(std::move(inputs), options, context);

  std::vector<SpaceKey> spaces = Spaces(options);
  if (spaces.empty())
    return compute_(std::move(inputs), options, context);  // reports what is wrong
  return Pass(*this, inputs, options, caller, std::move(spaces), context).Run();
}

std::vector<SpaceKey> CachedEmbedder::Spaces(const EmbedOptions& options) const {
  const int dimensions = options.dimensions == 0 ? info_.dimensions : options.dimensions;
  if (dimensions < 1 || dimensions > info_.dimensions) return {};

  std::vector<SpaceKey> spaces;
  const auto add = [&](const SpaceInfo& space) {
    spaces.push_back({space.name, FingerprintFor(space, dimensions, info_.dimensions)});
  };

  for (const std::string& name : options.spaces) {
    const SpaceInfo* space = info_.FindSpace(name);
    if (space == nullptr || !space->available) return {};
    add(*space);
  }
  for (const SpaceInfo& space : info_.spaces) {
    if (options.spaces.empty() && space.available) add(space);
  }
  return spaces;
}

}  // namespace palate::embedding
