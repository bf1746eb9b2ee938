#include "ranking/special_tokens.h"

#include <cstddef>

namespace palate::ranking {
namespace {

SpecialToken Offset(SpecialToken first, int index) {
  return static_cast<SpecialToken>(static_cast<int>(first) + index);
}

}  // namespace

const std::vector<std::string>& SpecialTokenTexts() {
  // In the order of the enum.
  static const std::vector<std::string>& texts = *new std::vector<std::string>{
      "<|pad|>",      "<|end|>",      "<|user|>",     "<|history|>",  "<|item|>",
      "<|label|>",    "<|yes|>",      "<|no|>",       "<|seen|>",     "<|like1|>",
      "<|like2|>",    "<|like3|>",    "<|like4|>",    "<|like5|>",    "<|like6|>",
      "<|dislike1|>", "<|dislike2|>", "<|dislike3|>", "<|dislike4|>", "<|dislike5|>",
      "<|dislike6|>", "<|farbelow|>", "<|below|>",    "<|inside|>",   "<|above|>",
      "<|farabove|>", "<|explain|>",  "<|event|>",    "<|reason|>",   "<|write|>",
      "<|once|>",     "<|twice|>",    "<|often|>",    "<|name|>",     "<|value1|>",
      "<|value2|>",   "<|value3|>",   "<|value4|>",   "<|title1|>",   "<|title2|>",
      "<|title3|>"};
  return texts;
}

const std::string& SpecialTokenText(SpecialToken token) {
  return SpecialTokenTexts()[static_cast<size_t>(token)];
}

SpecialToken MarkOfTier(int tier) {
  return tier > 0 ? Offset(SpecialToken::kLike1, tier - 1)
                  : Offset(SpecialToken::kDislike1, -tier - 1);
}

int TierOfMark(SpecialToken token) {
  const int like = static_cast<int>(token) - static_cast<int>(SpecialToken::kLike1);
  const int dislike = static_cast<int>(token) - static_cast<int>(SpecialToken::kDislike1);
  if (like >= 0 && like < kNumTiers) return like + 1;
  return dislike >= 0 && dislike < kNumTiers ? -dislike - 1 : 0;
}

SpecialToken ValueSlot(int index) { return Offset(SpecialToken::kValue1, index); }

SpecialToken TitleSlot(int index) { return Offset(SpecialToken::kTitle1, index); }

}  // namespace palate::ranking
