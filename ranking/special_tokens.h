// The special tokens of the built-in prompt style, shared by the tokenizer trainer, the prompt
// builder and the engine.
//
// Only segments of kind kSpecial (prompt.h) become these tokens. Text of items and users is encoded
// with special tokens disabled, so "<|yes|>" in a title is seven ordinary characters. Constants and
// pure functions; thread-safe.
#pragma once

#include <string>
#include <vector>

namespace palate::ranking {

enum class SpecialToken {
  kPad,      // pads batches; never attended to
  kEnd,      // ends an explanation
  kUser,     // opens a ranking prompt
  kHistory,  // the user's events follow, oldest first
  kItem,     // opens an item line
  kLabel,    // the label slot; its logits over kYes and kNo are the score
  kYes,      // the user engaged
  kNo,       // the user turned away
  kSeen,     // the user only looked; an input, never a target
  kLike1,    // before a liked value, from weakest (1) to strongest (6)
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
  kFarBelow,  // before a numeric attribute: its value relative to the user's range
  kBelow,
  kInside,
  kAbove,
  kFarAbove,
  kExplain,  // opens an explanation prompt
  kEvent,    // opens one of the user's events in an explanation prompt
  kReason,   // opens a candidate source of the item
  kWrite,    // the explanation follows
  kOnce,     // how many events support a preference
  kTwice,
  kOften,
  kName,    // replaced by the explained item's title
  kValue1,  // replaced by the plan's points (explanation_plan.h)
  kValue2,
  kValue3,
  kValue4,
  kTitle1,  // replaced by the titles of the plan's events
  kTitle2,
  kTitle3,
};

inline constexpr int kNumTiers = 6;
inline constexpr int kNumValueSlots = 4;
inline constexpr int kNumTitleSlots = 3;

// The token's text in the vocabulary: "<|label|>". Unique per token.
const std::string& SpecialTokenText(SpecialToken token);

// All texts in the order of the enum, for the tokenizer trainer. kPad comes first to get the lowest
// id.
const std::vector<std::string>& SpecialTokenTexts();

// The mark of a preference: kLike1 to kLike6 for tiers 1 to 6, kDislike1 to kDislike6 for -1 to -6.
// REQUIRES: `tier` is one of these.
SpecialToken MarkOfTier(int tier);
// The tier of a mark; 0 for any other token.
int TierOfMark(SpecialToken token);

// kValue1 to kValue4 and kTitle1 to kTitle3. REQUIRES: `index`, from 0, is in range.
SpecialToken ValueSlot(int index);
SpecialToken TitleSlot(int index);

}  // namespace palate::ranking
