// The one table of special tokens of the built-in prompt style. The tokenizer trainer, the prompt
// builder and the engine all read it.
//
// Only segments of kind kSpecial (prompt.h) become these tokens. Text of items and users is encoded
// with specials disabled, so the letters
// "<|yes|>" in a title are seven ordinary characters. Thread-safe: constants only.
#pragma once

#include <string>
#include <vector>

namespace palate::ranking {

enum class SpecialToken {
  kPad,      // fills batches; never attended to
  kEnd,      // ends an explanation
  kUser,     // opens a ranking prompt
  kHistory,  // what follows are the user's events, oldest first
  kItem,     // opens an item line
  kLabel,    // the label slot: its logits over kYes and kNo are the score
  kYes,      // the user engaged
  kNo,       // the user turned away
  kSeen,     // the user looked and did no more: an input only, never a target
  kLike1,    // before a liked value, weakest (1) to strongest (6)
  kLike2,
  kLike3,
  kLike4,
  kLike5,
  kLike6,
  kDislike1,  // before a disliked value
  kDislike2,
  kDislike3,
  kDislike4,
  kDislike5,
  kDislike6,
  kFarBelow,  // before a numeric attribute's name: where the value lies relative to the user's
              // range
  kBelow,
  kInside,
  kAbove,
  kFarAbove,
  kExplain,  // opens an explanation prompt
  kEvent,    // opens one of the user's events in an explanation prompt
  kReason,   // opens the sources that brought the item
  kWrite,    // the explanation follows
  kOnce,     // how many events support a preference
  kTwice,
  kOften,
  kName,    // stands for the explained item's title in generated text
  kValue1,  // stand for the plan's points (explanation_plan.h) in generated text
  kValue2,
  kValue3,
  kValue4,
  kTitle1,  // stand for the plan's events: the title of that event's item
  kTitle2,
  kTitle3,
};

inline constexpr int kNumTiers = 6;
inline constexpr int kNumValueSlots = 4;
inline constexpr int kNumTitleSlots = 3;

// The token's text in the vocabulary: "<|label|>". Unique per token.
const std::string& SpecialTokenText(SpecialToken token);

// All texts in the order of the enum, for the tokenizer trainer. kPad comes first and so gets the
// lowest id.
const std::vector<std::string>& SpecialTokenTexts();

// The mark of a preference: kLike1 .. kLike6 for tiers 1 to 6, kDislike1 .. kDislike6 for -1 to -6.
// `tier` is one of these.
SpecialToken MarkOfTier(int tier);
// The tier of a mark; 0 for any other token.
int TierOfMark(SpecialToken token);

// kValue1 .. kValue4 and kTitle1 .. kTitle3; `index` counts from 0 and is in range.
SpecialToken ValueSlot(int index);
SpecialToken TitleSlot(int index);

}  // namespace palate::ranking
