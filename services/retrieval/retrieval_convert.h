// Converts RetrievalService's statistics to messages (see services/convert/types_convert.h).
#pragma once

#include "palate/retrieval/v1/retrieval_service.pb.h"
#include "retrieval/follower.h"
#include "retrieval/index_set.h"

namespace palate::services {

namespace retrieval_pb = palate::retrieval::v1;

retrieval_pb::SpaceStats ToProto(const retrieval::SpaceStats& stats);
retrieval_pb::CatalogStats ToProto(const retrieval::CatalogStats& stats);
retrieval_pb::FollowerStats ToProto(const retrieval::FollowerStats& stats);

}  // namespace palate::services
