// The demo's page: what a few shoppers did, what they are recommended and why, and the measured
// quality. One self-contained HTML file.
//
// Every text is escaped: titles, explanations and names are untrusted data. Pure functions,
// thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace palate::demo {

// Members have initializers so that callers name only those that they set.
struct PageItem {
  std::string title{};
  std::string facts{};   // one short line: "walnut, minimalist, 49.50"
  std::string image{};   // a data URI (ImageDataUri) or a path relative to the page; the frame
                         // stays empty for anything else
  std::string badge{};   // an event type: "purchase"; may be empty
  std::string detail{};  // "3 days ago"; may be empty
};

struct PageRecommendation {
  PageItem item{};
  double score = 0;
  std::vector<std::string> reasons{};  // where it came from: "taste", "trending"
  std::string explanation{};           // may be empty
  bool by_model = false;  // whether the language model wrote the explanation; else a template
  std::vector<std::string> evidence{};  // the facts that the explanation uses
};

struct PageShopper {
  std::string name{};
  std::string truth{};              // the hidden taste, in words; may be empty
  std::vector<PageItem> history{};  // newest first
  std::vector<PageRecommendation> recommendations{};
  std::vector<std::string> notes{};  // pipeline stages that were skipped or degraded, and timings
};

struct PageFigure {
  std::string value{};  // "412"
  std::string label{};  // "products"
};

struct PageTable {
  std::string title{};
  std::vector<std::vector<std::string>> rows{};  // the first one is the header
  std::string note{};
};

struct Page {
  std::string title{};
  std::string lead{};  // a sentence or two below the title
  std::vector<PageFigure> figures{};
  std::vector<PageTable> tables{};
  std::vector<PageShopper> shoppers{};
};

// For PageItem::image.
std::string ImageDataUri(absl::string_view bytes, absl::string_view media_type);

std::string RenderPage(const Page& page);

// Writes RenderPage() to `path`, replacing the file in one step. Unavailable, naming the path, when
// it cannot be written.
absl::Status WritePage(const Page& page, const std::string& path);

}  // namespace palate::demo
