#include "ranking/engine/llm_engine.h"
#include "gtest/gtest.h"
#include "tests/ranking/tiny_model.h"
#include "absl/time/clock.h"
#include <ATen/Parallel.h>
#include <iostream>
namespace palate::ranking {
TEST(Lm, Try){
  auto e=LlmEngine::Load("/tmp/palate/train/lm1",{.intra_op_threads=1}); ASSERT_TRUE(e.ok())<<e.status();
  for(int s=0;s<4;s++){
  auto sh=MakeRandomShopper(s,30,10);std::vector<ExplainInput> ins;for(auto&i:sh.candidates)ins.push_back({"",sh.history,i,{s%2?"trending":"content"},""});
  absl::Time t=absl::Now();auto r=(*e)->Explain(ins,nullptr,absl::InfiniteFuture()).value();std::cout<<"explain 10: "<<absl::FormatDuration(absl::Now()-t)<<"\n";
  for(auto&x:r)std::cout<<(x.source==ExplanationSource::kLlm?"LLM  ":"TMPL ")<<x.text<<"  "<<x.rejected_reason<<"\n";
  RankInput in{"",sh.history,sh.candidates,""};t=absl::Now();auto o=(*e)->Rank(in,absl::InfiniteFuture()).value();std::cout<<"rank 10: "<<absl::FormatDuration(absl::Now()-t)<<" tokens "<<o.prompt_tokens<<": ";for(float f:o.scores)std::cout<<f<<" ";std::cout<<"\n";}
  auto st=(*e)->stats();std::cout<<"accepted "<<st.accepted_texts<<" refused "<<st.refused_texts<<" templates "<<st.template_explanations<<"\n";
}
}
