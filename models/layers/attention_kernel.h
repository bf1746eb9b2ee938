// The AVX-512 kernel behind PackedAttention. Internal to models/layers.
#pragma once

#include <cstdint>
#include <vector>

namespace palate::models {

// Whether this processor supports AttendHead and the kernel supports this head size.
bool HasAttentionKernel(int64_t head_dim);

// One head of one sequence. `query`, `key` and `value` point to the head's part of the first token;
// consecutive tokens are `stride` elements apart. Tokens of the result are `out_stride` elements
// apart.
template <typename Element>
struct HeadTask {
  const Element* query = nullptr;
  const Element* key = nullptr;
  const Element* value = nullptr;
  int64_t stride = 0;
  Element* out = nullptr;
  int64_t out_stride = 0;
  int64_t length = 0;
  int64_t head_dim = 0;
};

// Grows `scratch` as needed; a thread may reuse it. REQUIRES: HasAttentionKernel(task.head_dim).
void AttendHead(const HeadTask<float>& task, std::vector<float>& scratch);
// The same for the bits of bfloat16, computed in float32.
void AttendHead(const HeadTask<uint16_t>& task, std::vector<float>& scratch);

}  // namespace palate::models
