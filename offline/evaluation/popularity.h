// The baseline that every recommender must beat: the same popular items for every user.
#pragma once

#include <string>
#include <vector>

#include "domain/catalog.h"
#include "domain/event.h"

namespace palate::evaluation {

// Items by how many users had an event of a positively weighted type with them (ratings of any
// value count), most first; ties by item id. A user counts once per item. Thread-safe.
std::vector<std::string> PopularOrder(const std::vector<EventTypeDeclaration>& event_types,
                                      const std::vector<Event>& events);

}  // namespace palate::evaluation
