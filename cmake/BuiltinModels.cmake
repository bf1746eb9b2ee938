# Lays out share/models/ of the build folder as in an installation: links to the built-in models.
# The dual encoder's towers are all-MiniLM-L6-v2 and EfficientNet-Lite2 from the download cache; the
# other weights are committed in assets/.
include_guard(GLOBAL)

set(share "${CMAKE_BINARY_DIR}/share/models")
set(builtin "${PROJECT_SOURCE_DIR}/assets")
palate_require_download("${PALATE_CACHE_DIR}/all-MiniLM-L6-v2/model.safetensors")
palate_require_download("${PALATE_CACHE_DIR}/efficientnet-lite2/model.safetensors")
file(MAKE_DIRECTORY "${share}/dual_encoder")
file(CREATE_LINK "${PALATE_CACHE_DIR}/all-MiniLM-L6-v2" "${share}/dual_encoder/text" SYMBOLIC)
file(CREATE_LINK "${PALATE_CACHE_DIR}/efficientnet-lite2" "${share}/dual_encoder/vision" SYMBOLIC)
file(CREATE_LINK "${builtin}/dual_encoder/head" "${share}/dual_encoder/head" SYMBOLIC)
file(CREATE_LINK "${builtin}/dual_encoder/dual_encoder.json" "${share}/dual_encoder/dual_encoder.json" SYMBOLIC)
file(CREATE_LINK "${builtin}/shopper-lm" "${share}/shopper-lm" SYMBOLIC)
