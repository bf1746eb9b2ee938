#!/usr/bin/env bash
# Finds includes of the standard library that a file does not use: the header is named and none of its names is.
# Usage: scripts/check_includes.sh [--fix] FILE...     --fix deletes them; `make check-clang` tells whether something relied on one
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

fix=false
if [[ "${1:-}" == --fix ]]; then
  fix=true
  shift
fi

# A header and a pattern of the names that it is included for. Headers that have too many names to list are left out.
names_of() {
  cat <<'END'
array std::(array|to_array)
atomic std::(atomic|memory_order)
chrono std::chrono
condition_variable std::(condition_variable|cv_status)
deque std::deque
filesystem std::filesystem
fstream std::([io]?fstream|filebuf)
functional std::(function|hash|less|greater|plus|minus|multiplies|equal_to|ref|cref|bind|invoke|reference_wrapper|not_fn)
future std::(future|promise|async|shared_future|packaged_task)
iostream std::(cout|cerr|clog|cin|ostream|istream)
limits std::numeric_limits
list std::list
map std::(map|multimap)
memory std::(unique_ptr|shared_ptr|weak_ptr|make_unique|make_shared|addressof|enable_shared_from_this|allocator|static_pointer_cast|dynamic_pointer_cast|default_delete|owner_less)
mutex std::(mutex|unique_lock|lock_guard|scoped_lock|once_flag|call_once|recursive_mutex)
numeric std::(accumulate|iota|inner_product|partial_sum|reduce|gcd|lcm|transform_reduce|midpoint)
optional std::(optional|nullopt|make_optional|nullopt_t)
queue std::(queue|priority_queue)
random std::([a-z_0-9]*distribution|mt19937(_64)?|random_device|minstd_rand|seed_seq|generate_canonical)
set std::(set|multiset)
sstream std::([io]?stringstream|stringbuf)
string std::(string|to_string|getline|stoi|stol|stoll|stoull|stod|stof|char_traits|u32string|u16string|u8string|wstring)|string_view
string_view std::string_view
system_error std::(error_code|errc|system_error|make_error_code|generic_category|system_category)
thread std::(thread|this_thread|jthread)
tuple std::(tuple|tie|make_tuple|forward_as_tuple|get|apply|ignore)
type_traits std::(is_|enable_if|decay|remove_|conditional|invoke_result|common_type|underlying_type|void_t|true_type|false_type|integral_constant|make_(un)?signed)
unordered_map std::(unordered_map|unordered_multimap)
unordered_set std::(unordered_set|unordered_multiset)
utility std::(move|pair|forward|swap|exchange|make_pair|declval|index_sequence|make_index_sequence|in_place|as_const|piecewise_construct|integer_sequence|cmp_)
variant std::(variant|visit|get_if|get<|holds_alternative|monostate)
vector std::vector
END
}

findings=0
while read -r header pattern; do
  while IFS= read -r file; do
    grep -qE "$pattern" <(grep -vE '^ *(//|#include)' "$file") || {
      if [[ "$fix" == true ]]; then
        sed -i "\\|^#include <$header>\$|d" "$file"
        continue
      fi
      echo "$file: <$header> is included and not used" >&2
      findings=$((findings + 1))
    }
  done < <(grep -lxF "#include <$header>" "$@" | grep -v '^third_party/precompiled/' || true)
done < <(names_of)
[[ $findings == 0 ]] || fail "$findings unused includes"
echo "includes: no findings in $# files"
