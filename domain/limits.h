// All limits of the public API. The comments of proto/ document them for callers, and
// tests/domain/limits_test.cc compares the two. Text is measured in bytes of UTF-8, lists in
// elements; every limit is inclusive.
//
// Usage:
//   if (query.size() > kMaxQueryBytes) {
//     return InvalidField("text", absl::StrCat("has ", query.size(), " bytes"),
//                         absl::StrCat("at most ", kMaxQueryBytes));
//   }
//
// A request beyond a limit is InvalidArgument with field, value and limit. Limits of one library
// that no message documents are in that library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace palate {

// --- Every message

// One message, request or response.
inline constexpr int kMaxMessageBytes = 32 << 20;
// The last valid time, in Unix seconds: the last second of 9999-12-31. The first is 0.
inline constexpr int64_t kMaxUnixSeconds = 253'402'300'799;
// An id of an item, user, event, session or recommendation; a scenario; a persona.
inline constexpr size_t kMaxIdBytes = 256;

// --- Catalogs

// A catalog's id.
inline constexpr size_t kMaxCatalogIdBytes = 63;
// The name of an attribute, event type or space.
inline constexpr size_t kMaxNameBytes = 64;
// A catalog's display name.
inline constexpr size_t kMaxDisplayNameBytes = 256;
// The configured name of an embedding model in a space's declaration.
inline constexpr size_t kMaxModelNameBytes = 256;
// Attributes that a catalog declares, and attributes of one user.
inline constexpr int kMaxAttributes = 64;
// Event types that a catalog declares.
inline constexpr int kMaxEventTypes = 32;
// Spaces that a catalog declares: text, image and fused.
inline constexpr int kMaxSpaces = 3;
// Absolute value of an event type's weight.
inline constexpr double kMaxEventWeight = 1000;
// Dimensions of a vector.
inline constexpr int kMaxDimensions = 8192;
// The fingerprint of an embedding model.
inline constexpr size_t kMaxFingerprintBytes = 128;
// The weight of the language model's score in a catalog that declares none.
inline constexpr double kDefaultRerankWeight = 0.5;

// --- Items, users and events

// An item's title.
inline constexpr size_t kMaxTitleBytes = 1024;
// An item's description.
inline constexpr size_t kMaxDescriptionBytes = 64 << 10;
// A string value of an attribute, or one string of a list.
inline constexpr size_t kMaxAttributeBytes = 4096;
// Strings in a list attribute.
inline constexpr int kMaxListValues = 256;
// Images of one item.
inline constexpr int kMaxItemImages = 8;
// One encoded image.
inline constexpr size_t kMaxImageBytes = 16 << 20;
// Width times height of one image, as declared in its header.
inline constexpr int64_t kMaxImagePixels = 40'000'000;
// A user's free text.
inline constexpr size_t kMaxProfileBytes = 64 << 10;

// --- Batches and pages

// Items, ids, users or vectors in one call; items of one impression.
inline constexpr int kMaxBatchElements = 1000;
// Events in one call.
inline constexpr int kMaxBatchEvents = 10'000;
// Elements in one page.
inline constexpr int kMaxPageElements = 1000;
// Elements in one page if the request has no page size.
inline constexpr int kDefaultPageElements = 100;
// Events of one user in one response.
inline constexpr int kMaxUserEvents = 1000;
// Trending or fresh items in one response.
inline constexpr int kMaxContextListItems = 1000;

// --- Recommend, Search, SimilarItems and Rank

// Results of one request.
inline constexpr int kMaxResults = 500;
// Results of one request that does not ask for a number.
inline constexpr int kDefaultResults = 10;
// The text of a query.
inline constexpr size_t kMaxQueryBytes = 8 << 10;
// A filter expression.
inline constexpr size_t kMaxFilterBytes = 8 << 10;
// A rule for the language model in words.
inline constexpr size_t kMaxInstructionBytes = 4096;
// A BCP 47 language tag.
inline constexpr size_t kMaxLanguageBytes = 64;
// Session events in one request.
inline constexpr int kMaxSessionEvents = 500;
// Items that the user is looking at.
inline constexpr int kMaxContextItems = 100;
// Items that a request excludes.
inline constexpr int kMaxExcludedItems = 10'000;
// Items of the caller's own list.
inline constexpr int kMaxRankedItems = 500;
// Attributes with a cap in one request.
inline constexpr int kMaxAttributeCaps = 16;
// Results that a cap may allow for each value of its attribute.
inline constexpr int kMaxCappedResults = 500;
// Largest share of the results that exploration may replace.
inline constexpr double kMaxExplorationShare = 0.5;
// The user's items named in one reason.
inline constexpr int kMaxReasonItems = 3;

// --- RetrievalService

// Vectors of one search.
inline constexpr int kMaxSearchQueries = 256;
// Results for each vector or list.
inline constexpr int kMaxSearchResults = 1000;
// Lists of candidates of one search.
inline constexpr int kMaxCandidateLists = 8;
// Items of one list of candidates.
inline constexpr int kMaxListedCandidates = 1000;

// --- RankingService

// Events of the user in one request.
inline constexpr int kMaxHistoryEntries = 1000;
// Items to be scored in one request.
inline constexpr int kMaxCandidates = 500;
// Documents to be scored in one request.
inline constexpr int kMaxDocuments = 500;
// Items to be explained in one request.
inline constexpr int kMaxExplanations = 500;
// The text of a query or document of a pointwise model.
inline constexpr size_t kMaxContentBytes = 256 << 10;
// Images of a query or document of a pointwise model.
inline constexpr int kMaxContentImages = 16;

// --- EmbeddingService

// Inputs of one request, or of one message of a stream.
inline constexpr int kMaxEmbedInputs = 512;
// Texts of one input.
inline constexpr int kMaxEmbedFields = 16;
// One text of an input.
inline constexpr size_t kMaxEmbedFieldBytes = 256 << 10;
// Images of one input, sent and fetched ones together.
inline constexpr int kMaxEmbedImages = 16;
// The instruction that is put before every text of a query.
inline constexpr size_t kMaxEmbedInstructionBytes = 8 << 10;
// Fingerprints that a request may name.
inline constexpr int kMaxWantedVectors = 16;
// How long the vectors of a user's queries are cached, in minutes.
inline constexpr int kMaxQueryVectorMinutes = 10;

}  // namespace palate
