// One vector drawing for every product kind. Internal to picture.cc.
//
// Each drawing is centered on the canvas (0 to 100 in both directions) and shows the product's
// material, color and pattern. The product's style selects one of three forms of the kind; small
// details vary at random.
#pragma once

#include "offline/demo/canvas.h"
#include "offline/demo/shop.h"
#include "offline/demo/vocabulary.h"

namespace palate::demo {

inline constexpr Rgb kInk{0.13, 0.12, 0.14};  // color of seams, clock hands and letters

// The product's facts as surfaces to draw with.
struct Look {
  Surface natural;  // the undyed material; never patterned
  Surface body;     // the material, dyed or glazed in the product's color and patterned, where the
                    // material takes dye; else `natural`
  Surface accent;   // cloth or lacquer in the product's color, patterned
  Surface tint;     // the product's color alone
  bool dyed = false;  // body carries the product's color
  MaterialFamily family = MaterialFamily::kFabric;
  int form = 0;  // 0, 1 or 2
  const Product* product = nullptr;
  bool Has(const char* feature) const;
};

// How the product is placed; decides its backdrop and how far it may be turned.
enum class Setting { kStanding, kHanging, kLying };

using Drawing = void (*)(Canvas& canvas, const Look& look);

void DrawTableLamp(Canvas& canvas, const Look& look);
void DrawPendantLamp(Canvas& canvas, const Look& look);
void DrawArmchair(Canvas& canvas, const Look& look);
void DrawStool(Canvas& canvas, const Look& look);
void DrawWallClock(Canvas& canvas, const Look& look);
void DrawRug(Canvas& canvas, const Look& look);
void DrawCushion(Canvas& canvas, const Look& look);

void DrawMug(Canvas& canvas, const Look& look);
void DrawTeapot(Canvas& canvas, const Look& look);
void DrawPlantPot(Canvas& canvas, const Look& look);
void DrawWateringCan(Canvas& canvas, const Look& look);
void DrawHeadphones(Canvas& canvas, const Look& look);
void DrawSpeaker(Canvas& canvas, const Look& look);
void DrawWristwatch(Canvas& canvas, const Look& look);

void DrawBackpack(Canvas& canvas, const Look& look);
void DrawToteBag(Canvas& canvas, const Look& look);
void DrawSneakers(Canvas& canvas, const Look& look);
void DrawAnkleBoots(Canvas& canvas, const Look& look);
void DrawJacket(Canvas& canvas, const Look& look);
void DrawBeanie(Canvas& canvas, const Look& look);

}  // namespace palate::demo
