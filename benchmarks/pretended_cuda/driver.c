// libcuda.so.1, without which torch does not load: every function succeeds and does nothing.
#define IGNORED(name) int name() { return 0; }
IGNORED(cuCtxGetCurrent) IGNORED(cuCtxSetCurrent) IGNORED(cuDeviceGet) IGNORED(cuDeviceGetAttribute)
IGNORED(cuDeviceGetCount) IGNORED(cuDevicePrimaryCtxRetain) IGNORED(cuDriverGetVersion)
IGNORED(cuFileBufDeregister) IGNORED(cuFileBufRegister) IGNORED(cuFileHandleDeregister) IGNORED(cuFileHandleRegister)
IGNORED(cuFileRead) IGNORED(cuFileWrite)
IGNORED(cuFuncGetAttribute) IGNORED(cuFuncSetAttribute) IGNORED(cuFuncSetCacheConfig) IGNORED(cuGetErrorString)
IGNORED(cuInit) IGNORED(cuLaunchCooperativeKernel) IGNORED(cuLaunchKernel)
IGNORED(cuLinkAddData_v2) IGNORED(cuLinkComplete) IGNORED(cuLinkCreate_v2)
IGNORED(cuModuleGetFunction) IGNORED(cuModuleLoad) IGNORED(cuModuleLoadData) IGNORED(cuModuleLoadDataEx)
IGNORED(cuModuleUnload) IGNORED(cuOccupancyMaxActiveBlocksPerMultiprocessor) IGNORED(cuPointerGetAttribute)
IGNORED(cuTensorMapEncodeTiled)
int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) { *flags = 0; *active = 1; return 0; }
