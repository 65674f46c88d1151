// A CUDA runtime without a GPU, for torch's host code to run against.
//
// Memory is host memory. Kernels are counted by name and not run. Every wait and every copy between host and device is told
// to a listener, and so is what a graph capture forbids. It takes the place of libcudart, of the start of cuBLAS, and of what
// nvcc registers, so it must be loaded before them (LD_PRELOAD).
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#undef cudaGetDeviceProperties
#undef cudaStreamGetCaptureInfo
#undef cudaGetDriverEntryPointByVersion

#define EXPORTED extern "C" __attribute__((visibility("default")))
#define OK return cudaSuccess

using std::string;
typedef void (*Listener)(const char* kind, const char* what);
typedef void (*Reader)(const char* name, long count);
typedef std::lock_guard<std::recursive_mutex> Lock;

// ---- What is counted, and who is told

static std::recursive_mutex MUTEX;
static std::map<string, long> COUNTS;
static Listener LISTENER = nullptr;
static const cudaStream_t NONE = (cudaStream_t)-1;
static cudaStream_t CAPTURING = NONE;
static std::set<cudaStream_t> CAPTURED;  // the capturing stream, and those that wait for an event of it
static std::map<cudaEvent_t, bool> RECORDED_IN_CAPTURE;
static unsigned long long CAPTURES = 0;
static thread_local cudaStreamCaptureMode MODE = cudaStreamCaptureModeGlobal;

static void count(const string& kind, const string& what) {
  Lock lock(MUTEX);
  COUNTS[(CAPTURING != NONE ? "captured " : "") + kind + " " + what]++;
}

// Never called with the lock held: a listener in Python waits for the interpreter, whose holder may wait for the lock.
static void tell(const char* kind, const char* what) {
  count(kind, what);
  if (LISTENER) LISTENER(kind, what);
}

static void wait_for(const char* what) { tell(CAPTURING != NONE ? "forbidden" : "wait", what); }

EXPORTED void pretended_listen(Listener listener) { LISTENER = listener; }
EXPORTED void pretended_count(const char* kind, const char* what) { count(kind, what); }
EXPORTED void pretended_counts(Reader reader) {
  std::map<string, long> copy;
  { Lock lock(MUTEX); copy = COUNTS; }
  for (auto& one : copy) reader(one.first.c_str(), one.second);
}

// ---- The device

EXPORTED cudaError_t cudaGetDeviceCount(int* n) { *n = 1; OK; }
EXPORTED cudaError_t cudaGetDevice(int* device) { *device = 0; OK; }
EXPORTED cudaError_t cudaSetDevice(int) { OK; }
EXPORTED cudaError_t cudaGetLastError() { OK; }
EXPORTED cudaError_t cudaPeekAtLastError() { OK; }
EXPORTED cudaError_t cudaDriverGetVersion(int* version) { *version = CUDART_VERSION; OK; }
EXPORTED cudaError_t cudaRuntimeGetVersion(int* version) { *version = CUDART_VERSION; OK; }
EXPORTED cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  memset(p, 0, sizeof *p);
  strcpy(p->name, "pretended GPU (no numbers)");
  p->major = 9; p->minor = 0; p->multiProcessorCount = 132; p->totalGlobalMem = 80ull << 30; p->warpSize = 32;
  p->maxThreadsPerBlock = 1024; p->maxThreadsPerMultiProcessor = 2048; p->sharedMemPerBlock = 49152;
  p->sharedMemPerMultiprocessor = 233472; p->sharedMemPerBlockOptin = 232448;
  p->regsPerBlock = p->regsPerMultiprocessor = 65536; p->maxBlocksPerMultiProcessor = 32;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024; p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 2147483647; p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->l2CacheSize = 50 << 20; p->textureAlignment = 512; p->concurrentKernels = p->unifiedAddressing = p->managedMemory = 1;
  OK;
}
EXPORTED cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMultiProcessorCount: *value = 132; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 232448; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    default: *value = 1;
  }
  OK;
}
EXPORTED cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  if (least) *least = 0;
  if (greatest) *greatest = -5;
  OK;
}
EXPORTED cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) { *can = 0; OK; }
EXPORTED cudaError_t cudaDeviceGetPCIBusId(char* id, int size, int) { snprintf(id, size, "0000:00:00.0"); OK; }

// ---- Memory

enum Place { PAGEABLE, DEVICE, PINNED };
struct Block { size_t size; Place place; };
static std::map<char*, Block> BLOCKS;
static size_t USED = 0;
static const size_t TOTAL = 80ull << 30, MOST = 78ull << 30, FILLED = 64ull << 20;

static void* allocate(size_t size, Place place) {
  void* address = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
  Lock lock(MUTEX);
  BLOCKS[(char*)address] = {size, place};
  if (place == DEVICE) USED += size;
  return address;
}
static void release(void* address) {
  Lock lock(MUTEX);
  auto found = BLOCKS.find((char*)address);
  if (found == BLOCKS.end()) return;
  if (found->second.place == DEVICE) USED -= found->second.size;
  BLOCKS.erase(found);
  free(address);
}
static Place place_of(const void* address) {
  Lock lock(MUTEX);
  auto next = BLOCKS.upper_bound((char*)address);
  if (next == BLOCKS.begin()) return PAGEABLE;
  --next;
  return (char*)address < next->first + next->second.size ? next->second.place : PAGEABLE;
}

EXPORTED cudaError_t cudaMalloc(void** address, size_t size) {
  *address = nullptr;
  if (USED + size > MOST) return cudaErrorMemoryAllocation;
  tell(CAPTURING != NONE && MODE != cudaStreamCaptureModeRelaxed ? "forbidden" : "allocate", "cudaMalloc");
  *address = allocate(size, DEVICE);
  if (size <= FILLED) memset(*address, 1, size);  // finite in every type; larger blocks are left untouched, for speed
  OK;
}
EXPORTED cudaError_t cudaFree(void* address) {
  if (!address) OK;
  wait_for("cudaFree");
  release(address);
  OK;
}
EXPORTED cudaError_t cudaMemGetInfo(size_t* free, size_t* total) { *total = TOTAL; *free = MOST - USED; OK; }
EXPORTED cudaError_t cudaHostAlloc(void** address, size_t size, unsigned) {
  tell("allocate", "cudaHostAlloc");
  *address = allocate(size, PINNED);
  OK;
}
EXPORTED cudaError_t cudaFreeHost(void* address) { release(address); OK; }
EXPORTED cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  memset(attributes, 0, sizeof *attributes);
  Place place = place_of(address);
  attributes->type = place == DEVICE ? cudaMemoryTypeDevice : place == PINNED ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
  attributes->devicePointer = attributes->hostPointer = (void*)address;
  OK;
}
EXPORTED cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind, cudaStream_t stream) {
  Place target = place_of(to), source = place_of(from);
  if (CAPTURED.count(stream) && (target == PAGEABLE || source == PAGEABLE)) tell("forbidden", "copy of pageable memory");
  if (target == DEVICE && source == DEVICE) count("copy", "on the device");
  else if (target == DEVICE) tell("copy", source == PINNED ? "to the device, pinned" : "to the device, pageable");
  else if (source == DEVICE) tell("copy", target == PINNED ? "to the host, pinned" : "to the host, pageable");
  else tell("copy", "on the host");
  memmove(to, from, size);
  OK;
}
EXPORTED cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind) {
  wait_for("cudaMemcpy");
  memmove(to, from, size);
  OK;
}
EXPORTED cudaError_t cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t) {
  count("memset", "");
  memset(to, value, size);
  OK;
}
EXPORTED cudaError_t cudaMemset(void* to, int value, size_t size) { return cudaMemsetAsync(to, value, size, 0); }

// ---- Streams, events and graphs

static long HANDLES = 16;
static void* handle() { Lock lock(MUTEX); return (void*)(HANDLES += 16); }

EXPORTED cudaError_t cudaStreamCreateWithPriority(cudaStream_t* s, unsigned, int) { *s = (cudaStream_t)handle(); OK; }
EXPORTED cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) { *s = (cudaStream_t)handle(); OK; }
EXPORTED cudaError_t cudaStreamDestroy(cudaStream_t) { OK; }
EXPORTED cudaError_t cudaStreamSynchronize(cudaStream_t) { wait_for("cudaStreamSynchronize"); OK; }
EXPORTED cudaError_t cudaStreamQuery(cudaStream_t) { count("query", "stream"); OK; }
EXPORTED cudaError_t cudaDeviceSynchronize() { wait_for("cudaDeviceSynchronize"); OK; }
EXPORTED cudaError_t cudaEventCreate(cudaEvent_t* e) { *e = (cudaEvent_t)handle(); OK; }
EXPORTED cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { *e = (cudaEvent_t)handle(); OK; }
EXPORTED cudaError_t cudaEventDestroy(cudaEvent_t) { OK; }
EXPORTED cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Lock lock(MUTEX);
  RECORDED_IN_CAPTURE[event] = CAPTURED.count(stream);
  count("event", "record");
  OK;
}
EXPORTED cudaError_t cudaEventRecordWithFlags(cudaEvent_t e, cudaStream_t s, unsigned) { return cudaEventRecord(e, s); }
EXPORTED cudaError_t cudaEventQuery(cudaEvent_t) { count("query", "event"); OK; }
EXPORTED cudaError_t cudaEventSynchronize(cudaEvent_t) { wait_for("cudaEventSynchronize"); OK; }
EXPORTED cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) { *milliseconds = 1; OK; }
EXPORTED cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  Lock lock(MUTEX);
  if (CAPTURING != NONE && RECORDED_IN_CAPTURE[event]) CAPTURED.insert(stream);
  count("event", "wait of a stream");
  OK;
}
static cudaStreamCaptureStatus status_of(cudaStream_t stream) {
  Lock lock(MUTEX);
  return CAPTURED.count(stream) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
}
EXPORTED cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = status_of(stream);
  OK;
}
EXPORTED cudaError_t cudaStreamGetCaptureInfo(
    cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long* id, cudaGraph_t* graph,
    const cudaGraphNode_t** dependencies, const cudaGraphEdgeData** edges, size_t* count) {
  *status = status_of(stream);
  bool active = *status == cudaStreamCaptureStatusActive;
  if (id) *id = active ? CAPTURES : 0;
  if (graph) *graph = active ? (cudaGraph_t)8 : nullptr;
  if (dependencies) *dependencies = nullptr;
  if (edges) *edges = nullptr;
  if (count) *count = 0;
  OK;
}
EXPORTED cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) { std::swap(*mode, MODE); OK; }
EXPORTED cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  Lock lock(MUTEX);
  CAPTURING = stream;
  CAPTURED = {stream};
  CAPTURES++;
  OK;
}
EXPORTED cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  Lock lock(MUTEX);
  CAPTURING = NONE;
  CAPTURED.clear();
  *graph = (cudaGraph_t)8;
  OK;
}
EXPORTED cudaError_t cudaGraphInstantiate(cudaGraphExec_t* g, cudaGraph_t, unsigned long long) { *g = (cudaGraphExec_t)8; OK; }
EXPORTED cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* g, cudaGraph_t, unsigned long long) {
  *g = (cudaGraphExec_t)8;
  OK;
}
EXPORTED cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t) { count("replay", "of a graph"); OK; }
EXPORTED cudaError_t cudaGraphDestroy(cudaGraph_t) { OK; }
EXPORTED cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) { OK; }
EXPORTED cudaError_t cudaGraphGetNodes(cudaGraph_t, cudaGraphNode_t*, size_t* nodes) { *nodes = 1; OK; }

// ---- Kernels: their names are registered when torch's libraries are loaded, and counted when they are launched

static std::unordered_map<const void*, string> NAMES;
struct Configuration { dim3 grid, block; size_t shared; void* stream; };
static thread_local Configuration PUSHED;

EXPORTED void** __cudaRegisterFatBinary(void*) { static void* binary; return &binary; }
EXPORTED void __cudaRegisterFatBinaryEnd(void**) {}
EXPORTED void __cudaUnregisterFatBinary(void**) {}
EXPORTED void __cudaRegisterFunction(
    void**, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*, int*) {
  Lock lock(MUTEX);
  NAMES[host] = name;
}
EXPORTED void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}
EXPORTED char __cudaInitModule(void**) { return 0; }
EXPORTED unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, void* stream) {
  PUSHED = {grid, block, shared, stream};
  return 0;
}
EXPORTED cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  *grid = PUSHED.grid;
  *block = PUSHED.block;
  *shared = PUSHED.shared;
  *(void**)stream = PUSHED.stream;
  OK;
}
EXPORTED cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) { *kernel = (cudaKernel_t)function; OK; }

static cudaError_t launch(const void* function, dim3 grid, dim3 block) {
  string name;
  {
    Lock lock(MUTEX);
    auto found = NAMES.find(function);
    name = found == NAMES.end() ? "?" : found->second;
  }
  bool fits = grid.x && grid.y && grid.z && grid.y <= 65535 && grid.z <= 65535 && block.x * block.y * block.z <= 1024;
  if (!fits) tell("forbidden", ("grid or block of " + name).c_str());
  count("kernel", name);
  OK;
}
EXPORTED cudaError_t __cudaLaunchKernel(cudaKernel_t k, dim3 grid, dim3 block, void**, size_t, cudaStream_t) {
  return launch((const void*)k, grid, block);
}
EXPORTED cudaError_t cudaLaunchKernel(const void* k, dim3 grid, dim3 block, void**, size_t, cudaStream_t) {
  return launch(k, grid, block);
}
EXPORTED cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* with, const void* k, void**) {
  return launch(k, with->gridDim, with->blockDim);
}
EXPORTED cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  memset(attributes, 0, sizeof *attributes);
  attributes->maxThreadsPerBlock = 1024;
  attributes->numRegs = 32;
  attributes->binaryVersion = attributes->ptxVersion = 90;
  OK;
}
EXPORTED cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { OK; }
EXPORTED cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* n, const void*, int, size_t, unsigned) {
  *n = 2;
  OK;
}
EXPORTED cudaError_t cudaGetSymbolAddress(void** address, const void*) { *address = nullptr; return cudaErrorUnknown; }

// ---- Entry points of the driver that torch asks the runtime for

static int refuse() { return 999; }
static int primary_context(int, unsigned* flags, int* active) { *flags = 0; *active = 1; return 0; }
EXPORTED cudaError_t cudaGetDriverEntryPointByVersion(
    const char* name, void** entry, unsigned, unsigned long long, cudaDriverEntryPointQueryResult* found) {
  *entry = strstr(name, "PrimaryCtxGetState") ? (void*)primary_context : (void*)refuse;
  if (found) *found = cudaDriverEntryPointSuccess;
  OK;
}
