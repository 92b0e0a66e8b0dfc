// Makes plain files named /dev/dri/card* and /dev/dri/renderD* behave as amdgpu's DRM nodes, for what libamd_smi and
// libdrm ask of them. Preloaded. It tells what the made-up /sys tells, so that nothing is said twice.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <amdgpu_drm.h>
#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { DRM_MAJOR = 226, FAMILY_AI = 141 };

// The minor of a DRM node that a path names; -1 for any other path.
static int minor_of_path(const char *path) {
    int number;
    if (sscanf(path, "/dev/dri/renderD%d", &number) == 1) return number;
    if (sscanf(path, "/dev/dri/card%d", &number) == 1) return number;
    return -1;
}

static int minor_of(int fd) {
    char link[64], path[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return -1;
    path[length] = '\0';
    return minor_of_path(path);
}

static int as_node(int result, int number, struct stat *status) {
    if (result == 0 && number >= 0) {
        status->st_mode = (status->st_mode & ~(mode_t)S_IFMT) | S_IFCHR;
        status->st_rdev = makedev(DRM_MAJOR, (unsigned)number);
    }
    return result;
}

int fstat(int fd, struct stat *status) {
    return as_node(fstatat(fd, "", status, AT_EMPTY_PATH), minor_of(fd), status);
}

int fstat64(int fd, struct stat64 *status) { return fstat(fd, (struct stat *)status); }

int stat(const char *restrict path, struct stat *restrict status) {
    return as_node(fstatat(AT_FDCWD, path, status, 0), minor_of_path(path), status);
}

int stat64(const char *restrict path, struct stat64 *restrict status) { return stat(path, (struct stat *)status); }

_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one and the same on 64-bit machines");

// A text file of the node's device, as a number.
static uint64_t fact(int number, const char *name, int base) {
    char path[256], text[64] = "";
    snprintf(path, sizeof path, "/sys/dev/char/%d:%d/device/%s", DRM_MAJOR, number, name);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    if (!fgets(text, sizeof text, file)) text[0] = '\0';
    fclose(file);
    return strtoull(text, NULL, base);
}

static void line(int number, const char *name, char *text, size_t size) {
    char path[256];
    snprintf(path, sizeof path, "/sys/dev/char/%d:%d/device/%s", DRM_MAJOR, number, name);
    FILE *file = fopen(path, "r");
    if (file && fgets(text, (int)size, file)) text[strcspn(text, "\n")] = '\0';
    if (file) fclose(file);
}

static void put(char *target, size_t *room, const char *text) {
    if (target && *room) strncpy(target, text, *room);
    *room = strlen(text);
}

static int version(struct drm_version *answer) {
    answer->version_major = 3;
    answer->version_minor = 64;
    answer->version_patchlevel = 0;
    put(answer->name, &answer->name_len, "amdgpu");
    put(answer->date, &answer->date_len, "0");
    put(answer->desc, &answer->desc_len, "AMD GPU");
    return 0;
}

static int answer(const struct drm_amdgpu_info *request, const void *data, size_t size) {
    memcpy((void *)(uintptr_t)request->return_pointer, data,
           size < request->return_size ? size : request->return_size);
    return 0;
}

static int device(int number, const struct drm_amdgpu_info *request) {
    struct drm_amdgpu_info_device facts = {
        .device_id = (uint32_t)fact(number, "device", 16),
        .pci_rev = (uint32_t)fact(number, "revision", 16),
        .family = FAMILY_AI,
        .num_shader_engines = 4,
        .num_shader_arrays_per_engine = 1,
        .gpu_counter_freq = 100000,
        .max_engine_clock = 2100000,
        .max_memory_clock = 1300000,
        .cu_active_number = 304,
        .vram_type = AMDGPU_VRAM_TYPE_HBM,
        .vram_bit_width = 8192,
    };
    return answer(request, &facts, sizeof facts);
}

static int memory(int number, const struct drm_amdgpu_info *request) {
    uint64_t total = fact(number, "mem_info_vram_total", 10), used = fact(number, "mem_info_vram_used", 10);
    struct drm_amdgpu_heap_info heap = {total, total, used, total};
    struct drm_amdgpu_memory_info facts = {.vram = heap, .cpu_accessible_vram = heap};
    return answer(request, &facts, sizeof facts);
}

static int bios(int number, const struct drm_amdgpu_info *request) {
    if (request->vbios_info.type != AMDGPU_INFO_VBIOS_INFO) return -1;
    struct drm_amdgpu_info_vbios facts = {.name = "AMD MI300X_HW_SRIOV_CVS_1VF", .date = "2024/08/06 17:40"};
    line(number, "vbios_version", (char *)facts.vbios_pn, sizeof facts.vbios_pn);
    strcpy((char *)facts.vbios_ver_str, "022.040.003.043.000001");
    return answer(request, &facts, sizeof facts);
}

static int information(int number, const struct drm_amdgpu_info *request) {
    uint32_t works = 1;
    uint64_t used;
    switch (request->query) {
        case AMDGPU_INFO_ACCEL_WORKING: return answer(request, &works, sizeof works);
        case AMDGPU_INFO_DEV_INFO: return device(number, request);
        case AMDGPU_INFO_MEMORY: return memory(number, request);
        case AMDGPU_INFO_VBIOS: return bios(number, request);
        case AMDGPU_INFO_VRAM_USAGE:
            used = fact(number, "mem_info_vram_used", 10);
            return answer(request, &used, sizeof used);
        default:
            memset((void *)(uintptr_t)request->return_pointer, 0, request->return_size);
            return 0;
    }
}

int ioctl(int fd, unsigned long request, ...) {
    static int (*next)(int, unsigned long, ...);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "ioctl");
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    int number = _IOC_TYPE(request) == DRM_IOCTL_BASE ? minor_of(fd) : -1;
    if (number < 0) return next(fd, request, argument);
    int result = -1;
    if (_IOC_NR(request) == _IOC_NR(DRM_IOCTL_VERSION)) result = version(argument);
    if (_IOC_NR(request) == DRM_COMMAND_BASE + DRM_AMDGPU_INFO) result = information(number, argument);
    if (result) errno = EINVAL;
    return result;
}
