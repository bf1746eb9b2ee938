#include "offline/demo/page.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace palate::demo {
namespace {

constexpr char kStyle[] = R"css(
:root{--ground:#f6f4f0;--card:#fff;--ink:#23211d;--soft:#6f6a61;--line:#e5e0d7;--brand:#b4532a;--brand-soft:#f7e6dc;--good:#2f7d55;--good-soft:#e0f1e8;
--bad:#a8343a;--bad-soft:#f8e1e1;--shadow:0 1px 2px rgba(40,30,20,.06),0 6px 20px rgba(40,30,20,.06)}
@media (prefers-color-scheme:dark){:root{--ground:#191715;--card:#23201d;--ink:#efeae2;--soft:#a79f93;--line:#37322d;--brand:#e58a5d;--brand-soft:#3a281f;
--good:#7fcba2;--good-soft:#1e3328;--bad:#ea8f93;--bad-soft:#3b2122;--shadow:none}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main,header.top{max-width:1180px;margin:0 auto;padding:0 24px}
header.top{padding-top:48px;padding-bottom:8px}
h1{font-size:38px;line-height:1.1;letter-spacing:-.02em;margin:0 0 10px}
h2{font-size:22px;letter-spacing:-.01em;margin:0}
h3{font-size:12px;text-transform:uppercase;letter-spacing:.09em;color:var(--soft);margin:26px 0 10px;font-weight:600}
.lead{font-size:17px;color:var(--soft);max-width:760px;margin:0}
.figures{display:flex;flex-wrap:wrap;gap:12px;margin:26px 0 8px}
.figure{background:var(--card);border-radius:14px;box-shadow:var(--shadow);padding:12px 20px;min-width:120px}
.figure b{display:block;font-size:24px;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.figure span{color:var(--soft);font-size:13px}
.panel{background:var(--card);border-radius:18px;box-shadow:var(--shadow);padding:24px;margin:22px 0}
nav{display:flex;flex-wrap:wrap;gap:8px;margin:18px 0 0}
nav a{color:var(--brand);text-decoration:none;background:var(--brand-soft);border-radius:99px;padding:4px 14px;font-size:14px}
table{border-collapse:collapse;width:100%;margin-top:12px;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:8px 12px;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left;padding-left:0}
th{font-size:13px;color:var(--soft);font-weight:600}
tr:last-child td{border-bottom:0}
.scroll{overflow-x:auto}
.note{color:var(--soft);font-size:13px;margin:10px 0 0}
.truth{background:var(--brand-soft);border-radius:12px;padding:10px 14px;margin:14px 0 0;font-size:14px}
.truth b{color:var(--brand)}
.history{display:flex;gap:12px;overflow-x:auto;padding-bottom:8px}
.event{flex:0 0 112px}
.frame{position:relative;border-radius:12px;overflow:hidden;background:var(--line);aspect-ratio:1}
.frame img{width:100%;height:100%;object-fit:cover;display:block}
.badge{position:absolute;left:6px;top:6px;border-radius:99px;background:rgba(255,255,255,.92);color:#3a352e;font-size:11px;font-weight:600;padding:1px 8px}
.badge.good{background:var(--good-soft);color:var(--good)}
.badge.bad{background:var(--bad-soft);color:var(--bad)}
.event .name{font-size:12px;line-height:1.3;margin-top:6px;display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;overflow:hidden}
.event .when{font-size:11px;color:var(--soft)}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(204px,1fr));gap:18px}
.card{border:1px solid var(--line);border-radius:16px;padding:10px;display:flex;flex-direction:column}
.rank{position:absolute;right:8px;top:8px;width:26px;height:26px;border-radius:50%;background:rgba(35,33,29,.82);color:#fff;font-size:12px;font-weight:700;
display:flex;align-items:center;justify-content:center}
.card .name{font-weight:600;line-height:1.3;margin:10px 2px 2px}
.card .facts{font-size:12.5px;color:var(--soft);margin:0 2px 8px}
.chips{display:flex;flex-wrap:wrap;gap:5px;margin:0 2px 8px}
.chip{font-size:11px;border-radius:99px;padding:1px 9px;background:var(--ground);color:var(--soft)}
.why{font-size:13.5px;margin:0 2px 6px}
.source{font-size:10.5px;font-weight:700;letter-spacing:.05em;border-radius:5px;padding:1px 6px;margin-right:6px;background:var(--line);color:var(--soft)}
.source.model{background:var(--good-soft);color:var(--good)}
details{font-size:12.5px;color:var(--soft);margin:auto 2px 2px}
summary{cursor:pointer}
details ul{margin:4px 0 2px;padding-left:18px}
footer{max-width:1180px;margin:0 auto;padding:12px 24px 48px;color:var(--soft);font-size:13px}
@media (max-width:640px){h1{font-size:28px}.panel{padding:16px}.grid{grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px}}
)css";

std::string Escape(absl::string_view text) {
  std::string escaped;
  escaped.reserve(text.size() + 16);

  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

// Accepts data URIs of images and relative paths; never another host or a script.
bool IsOwnImage(absl::string_view image) {
  if (absl::StartsWith(image, "data:image/")) return true;
  return !image.empty() && !absl::StrContains(image, ':') && !absl::StartsWith(image, "/") &&
         !absl::StartsWith(image, "\\");
}

std::string Frame(const PageItem& item, absl::string_view overlay) {
  std::string html = "<div class=\"frame\">";

  if (IsOwnImage(item.image))
    absl::StrAppend(&html, "<img loading=\"lazy\" src=\"", Escape(item.image), "\" alt=\"",
                    Escape(item.title), "\">");

  if (!item.badge.empty()) {
    const bool good = item.badge == "purchase" || item.badge == "like" || item.badge == "cart",
               bad = item.badge == "dislike";
    absl::StrAppend(&html, "<span class=\"badge",
                    good  ? " good"
                    : bad ? " bad"
                          : "",
                    "\">", Escape(item.badge), "</span>");
  }

  return absl::StrCat(html, overlay, "</div>");
}

std::string HistoryEntry(const PageItem& item) {
  return absl::StrCat("<div class=\"event\" title=\"", Escape(item.facts), "\">", Frame(item, ""),
                      "<div class=\"name\">", Escape(item.title), "</div><div class=\"when\">",
                      Escape(item.detail), "</div></div>\n");
}

std::string RecommendationCard(const PageRecommendation& entry, size_t rank) {
  std::string html =
      absl::StrCat("<article class=\"card\">",
                   Frame(entry.item, absl::StrCat("<span class=\"rank\">", rank, "</span>")),
                   "<div class=\"name\">", Escape(entry.item.title), "</div><div class=\"facts\">",
                   Escape(entry.item.facts), "</div><div class=\"chips\">");

  for (const std::string& reason : entry.reasons)
    absl::StrAppend(&html, "<span class=\"chip\">", Escape(reason), "</span>");
  absl::StrAppend(&html,
                  absl::StrFormat("<span class=\"chip\">score %.3f</span></div>", entry.score));

  if (!entry.explanation.empty()) {
    absl::StrAppend(&html, "<p class=\"why\"><span class=\"source",
                    entry.by_model ? " model\">LLM" : "\">TEMPLATE", "</span>",
                    Escape(entry.explanation), "</p>");
  }

  if (!entry.evidence.empty()) {
    absl::StrAppend(&html, "<details><summary>Evidence</summary><ul>");
    for (const std::string& evidence : entry.evidence)
      absl::StrAppend(&html, "<li>", Escape(evidence), "</li>");
    absl::StrAppend(&html, "</ul></details>");
  }

  return absl::StrCat(html, "</article>\n");
}

std::string ShopperSection(const PageShopper& shopper, size_t number) {
  std::string html = absl::StrCat("<section class=\"panel\" id=\"shopper-", number, "\"><h2>",
                                  Escape(shopper.name), "</h2>\n");

  if (!shopper.truth.empty())
    absl::StrAppend(&html, "<p class=\"truth\"><b>Hidden taste</b> &mdash; ", Escape(shopper.truth),
                    "</p>\n");

  absl::StrAppend(&html, "<h3>What they did, newest first</h3>\n<div class=\"history\">\n");
  for (const PageItem& item : shopper.history) absl::StrAppend(&html, HistoryEntry(item));
  absl::StrAppend(&html, "</div>\n<h3>Recommended</h3>\n<div class=\"grid\">\n");

  size_t rank = 0;
  for (const PageRecommendation& entry : shopper.recommendations)
    absl::StrAppend(&html, RecommendationCard(entry, ++rank));
  absl::StrAppend(&html, "</div>\n");

  for (const std::string& note : shopper.notes)
    absl::StrAppend(&html, "<p class=\"note\">", Escape(note), "</p>\n");
  return absl::StrCat(html, "</section>\n");
}

std::string TableSection(const PageTable& table) {
  std::string html = absl::StrCat("<section class=\"panel\"><h2>", Escape(table.title),
                                  "</h2><div class=\"scroll\"><table>\n");

  for (size_t i = 0; i < table.rows.size(); ++i) {
    const char* cell = i == 0 ? "th" : "td";
    absl::StrAppend(&html, "<tr>");
    for (const std::string& text : table.rows[i])
      absl::StrAppend(&html, "<", cell, ">", Escape(text), "</", cell, ">");
    absl::StrAppend(&html, "</tr>\n");
  }

  absl::StrAppend(&html, "</table></div>");
  if (!table.note.empty()) absl::StrAppend(&html, "<p class=\"note\">", Escape(table.note), "</p>");
  return absl::StrCat(html, "</section>\n");
}

}  // namespace

std::string ImageDataUri(absl::string_view bytes, absl::string_view media_type) {
  return absl::StrCat("data:", media_type, ";base64,", absl::Base64Escape(bytes));
}

std::string RenderPage(const Page& page) {
  std::string html = absl::StrCat(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; img-src "
      "data: 'self' file:\">\n<title>",
      Escape(page.title), "</title><style>", kStyle,
      "</style></head><body>\n<header class=\"top\"><h1>", Escape(page.title),
      "</h1><p class=\"lead\">", Escape(page.lead), "</p>\n<div class=\"figures\">");

  for (const PageFigure& figure : page.figures) {
    absl::StrAppend(&html, "<div class=\"figure\"><b>", Escape(figure.value), "</b><span>",
                    Escape(figure.label), "</span></div>");
  }

  absl::StrAppend(&html, "</div>\n<nav>");
  for (size_t i = 0; i < page.shoppers.size(); ++i) {
    absl::StrAppend(&html, "<a href=\"#shopper-", i + 1, "\">", Escape(page.shoppers[i].name),
                    "</a>");
  }
  absl::StrAppend(&html, "</nav></header>\n<main>\n");

  for (const PageTable& table : page.tables) absl::StrAppend(&html, TableSection(table));
  for (size_t i = 0; i < page.shoppers.size(); ++i)
    absl::StrAppend(&html, ShopperSection(page.shoppers[i], i + 1));

  absl::StrAppend(&html,
                  "</main>\n<footer>Products, pictures and shoppers are generated; the hidden "
                  "tastes were never shown "
                  "to the recommender.</footer>\n</body></html>\n");

  return html;
}

absl::Status WritePage(const Page& page, const std::string& path) {
  const std::string partial = absl::StrCat(path, ".partial");
  const auto failed = [&](absl::string_view what) {
    return absl::UnavailableError(
        absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(errno)));
  };

  {
    std::ofstream file(partial, std::ios::binary | std::ios::trunc);
    file << RenderPage(page);
    file.flush();
    if (!file) return failed("write");
  }
  if (std::rename(partial.c_str(), path.c_str()) != 0) return failed("replace");
  return absl::OkStatus();
}

}  // namespace palate::demo
