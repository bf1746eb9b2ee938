// A fixed number of bits.
//
// Usage:
//   Bitmap even(100);
//   even.Fill([](size_t i) { return i % 2 == 0; });
//   even.Clear(0);
//   size_t sum = 0;
//   even.ForEach([&](size_t i) { sum += i; });
//
// Const methods are thread-safe; writes are not. Indexes are below size().
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace palate::retrieval {

class Bitmap {
 public:
  Bitmap() = default;
  explicit Bitmap(size_t size, bool value = false)
      : size_(size), words_((size + 63) / 64, value ? ~uint64_t{0} : 0) {
    ClearTail();
  }

  size_t size() const { return size_; }
  bool Test(size_t i) const { return (words_[i / 64] >> (i % 64)) & 1; }
  void Set(size_t i) { words_[i / 64] |= uint64_t{1} << (i % 64); }
  void Clear(size_t i) { words_[i / 64] &= ~(uint64_t{1} << (i % 64)); }

  // REQUIRES: the other bitmap has the same size.
  void And(const Bitmap& other) {
    for (size_t w = 0; w < words_.size(); ++w) words_[w] &= other.words_[w];
  }
  void AndNot(const Bitmap& other) {
    for (size_t w = 0; w < words_.size(); ++w) words_[w] &= ~other.words_[w];
  }
  void Or(const Bitmap& other) {
    for (size_t w = 0; w < words_.size(); ++w) words_[w] |= other.words_[w];
  }
  void Invert() {
    for (uint64_t& word : words_) word = ~word;
    ClearTail();
  }

  size_t Count() const {
    size_t count = 0;
    for (uint64_t word : words_) count += std::popcount(word);
    return count;
  }

  bool Any() const {
    return std::any_of(words_.begin(), words_.end(), [](uint64_t word) { return word != 0; });
  }

  // Calls visit(i) for every set bit, in ascending order.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (size_t w = 0; w < words_.size(); ++w) {
      for (uint64_t word = words_[w]; word != 0; word &= word - 1)
        visit(w * 64 + std::countr_zero(word));
    }
  }

  // Sets every bit i to holds(i).
  template <typename Predicate>
  void Fill(Predicate&& holds) {
    for (size_t w = 0; w < words_.size(); ++w) {
      const size_t begin = w * 64;
      const size_t end = std::min(begin + 64, size_);
      uint64_t word = 0;
      for (size_t i = begin; i < end; ++i) word |= uint64_t{holds(i) ? 1u : 0u} << (i - begin);
      words_[w] = word;
    }
  }

  // 64 bits a word, the first bit lowest. The bits beyond size() are zero.
  const std::vector<uint64_t>& words() const { return words_; }
  // Makes `out` a bitmap of words that words() returned. False when the number of words is not that
  // of `size` bits.
  static bool FromWords(size_t size, std::vector<uint64_t> words, Bitmap& out) {
    if (words.size() != (size + 63) / 64) return false;
    out.size_ = size;
    out.words_ = std::move(words);
    out.ClearTail();
    return true;
  }

  bool operator==(const Bitmap&) const = default;

 private:
  void ClearTail() {
    if (size_ % 64 != 0) words_.back() &= (uint64_t{1} << (size_ % 64)) - 1;
  }

  size_t size_ = 0;
  std::vector<uint64_t> words_;
};

}  // namespace palate::retrieval
