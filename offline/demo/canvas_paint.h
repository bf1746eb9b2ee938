// The patterns, textures and light that Canvas paints over a filled outline. Internal to canvas.cc.
//
// All functions paint within the box (the extents of the outline). The caller has clipped the
// context to the outline; the functions leave the context's path empty.
#pragma once

#include <cairo.h>

#include "offline/demo/canvas.h"

namespace palate::demo {

struct PaintBox {
  double x0, y0, x1, y1;
  double width() const { return x1 - x0; }
  double height() const { return y1 - y0; }
};

void SetColor(cairo_t* cr, const Rgb& color, double alpha = 1);
void PaintPattern(cairo_t* cr, const PaintBox& box, const Surface& surface, Random& random);
void PaintTexture(cairo_t* cr, const PaintBox& box, const Surface& surface, Random& random);
void PaintLight(cairo_t* cr, const PaintBox& box, const Surface& surface, Form form);

}  // namespace palate::demo
