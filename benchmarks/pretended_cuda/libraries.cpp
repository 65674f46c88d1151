// What torch calls of cuBLAS and cuDNN: products and BatchNorm are counted, handles and descriptors are made up.
//
// Both libraries' statuses have 0 for success, and what a function is given is not looked at but where it returns something.
#include <cstddef>
#include <cstdlib>

extern "C" void pretended_count(const char* kind, const char* what);
#define EXPORTED extern "C" __attribute__((visibility("default")))
#define COUNTED(kind, name) EXPORTED int name() { pretended_count(kind, #name); return 0; }
#define IGNORED(name) EXPORTED int name() { return 0; }
#define MADE(name) EXPORTED int name(void** made) { *made = (void*)8; return 0; }

// ---- cuBLAS
EXPORTED int cublasCreate_v2(void** handle) { *handle = malloc(8); return 0; }
EXPORTED int cublasDestroy_v2(void*) { return 0; }
EXPORTED int cublasGetMathMode(void*, int* mode) { *mode = 0; return 0; }
EXPORTED int cublasGetPointerMode_v2(void*, int* mode) { *mode = 0; return 0; }
IGNORED(cublasSetStream_v2) IGNORED(cublasSetWorkspace_v2) IGNORED(cublasSetMathMode) IGNORED(cublasSetPointerMode_v2)
COUNTED("product", cublasSgemm_v2) COUNTED("product", cublasDgemm_v2) COUNTED("product", cublasGemmEx)
COUNTED("product", cublasSgemmEx) COUNTED("product", cublasGemmStridedBatchedEx)
COUNTED("product", cublasSgemmStridedBatched) COUNTED("product", cublasDgemmStridedBatched)
COUNTED("product", cublasSgemv_v2) COUNTED("product", cublasDgemv_v2)
COUNTED("product", cublasSdot_v2) COUNTED("product", cublasDdot_v2) COUNTED("product", cublasDotEx)

// ---- cuBLASLt
MADE(cublasLtMatmulDescCreate) MADE(cublasLtMatmulPreferenceCreate) MADE(cublasLtMatrixLayoutCreate)
IGNORED(cublasLtMatmulDescDestroy) IGNORED(cublasLtMatmulDescSetAttribute) IGNORED(cublasLtMatmulPreferenceDestroy)
IGNORED(cublasLtMatmulPreferenceSetAttribute) IGNORED(cublasLtMatrixLayoutDestroy) IGNORED(cublasLtMatrixLayoutSetAttribute)
EXPORTED int cublasLtMatmulAlgoGetHeuristic(void*, void*, void*, void*, void*, void*, void*, int, void*, int* found) {
  *found = 1;
  return 0;
}
COUNTED("product", cublasLtMatmul)

// ---- cuDNN: BatchNorm alone; convolutions are made up in Python (kernels.py), for cuDNN's graphs cannot be
MADE(cudnnCreate) MADE(cudnnCreateTensorDescriptor) MADE(cudnnCreateActivationDescriptor) MADE(cudnnCreateFilterDescriptor)
MADE(cudnnCreateConvolutionDescriptor) MADE(cudnnCreatePoolingDescriptor)
IGNORED(cudnnDestroyTensorDescriptor) IGNORED(cudnnDestroyActivationDescriptor) IGNORED(cudnnDestroyFilterDescriptor)
IGNORED(cudnnDestroyConvolutionDescriptor) IGNORED(cudnnSetStream) IGNORED(cudnnSetTensorNdDescriptor)
IGNORED(cudnnSetFilterNdDescriptor) IGNORED(cudnnSetConvolutionNdDescriptor)
EXPORTED int cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(
    void*, int, int, void*, void*, void*, void*, void*, size_t* size) {
  *size = 0;
  return 0;
}
EXPORTED int cudnnGetBatchNormalizationTrainingExReserveSpaceSize(void*, int, int, void*, void*, size_t* size) {
  *size = 0;
  return 0;
}
EXPORTED int cudnnGetBatchNormalizationBackwardExWorkspaceSize(
    void*, int, int, void*, void*, void*, void*, void*, void*, void*, size_t* size) {
  *size = 0;
  return 0;
}
COUNTED("batchnorm", cudnnBatchNormalizationForwardTrainingEx) COUNTED("batchnorm", cudnnBatchNormalizationBackwardEx)
COUNTED("batchnorm", cudnnBatchNormalizationForwardInference)
