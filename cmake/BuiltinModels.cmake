# Lays out share/models/ of the build folder as in an installation: links to the built-in models.
# Their weights are committed in assets/; the text tower of the dual encoder is all-MiniLM-L6-v2
# from the download cache.
include_guard(GLOBAL)

set(share "${CMAKE_BINARY_DIR}/share/models")
set(builtin "${PROJECT_SOURCE_DIR}/assets")
palate_require_download("${PALATE_CACHE_DIR}/all-MiniLM-L6-v2/model.safetensors")
file(MAKE_DIRECTORY "${share}/dual_encoder")
file(CREATE_LINK "${PALATE_CACHE_DIR}/all-MiniLM-L6-v2" "${share}/dual_encoder/text" SYMBOLIC)
file(CREATE_LINK "${builtin}/dual_encoder/vision" "${share}/dual_encoder/vision" SYMBOLIC)
file(CREATE_LINK "${builtin}/dual_encoder/dual_encoder.json" "${share}/dual_encoder/dual_encoder.json" SYMBOLIC)
file(CREATE_LINK "${builtin}/shopper-lm" "${share}/shopper-lm" SYMBOLIC)
