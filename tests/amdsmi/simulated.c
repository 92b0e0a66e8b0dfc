/* A simulated libamd_smi.so: the ABI that the installed bindings expect, over GPUs that a control file steers.
 *
 * `layout.h` and `stubs.c` are generated. Like the real library before ROCm 7.2 it does not bear two threads at once:
 * it aborts, where the real one corrupts its heap.
 */
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "layout.h"

enum { SUCCESS = 0, INVALID = 1, NOT_SUPPORTED = 2, NOT_FOUND = 31, NOT_INITIALISED = 32, DRIVER_NOT_LOADED = 34 };
enum { IDENTIFY, METRICS, VRAM, ECC, PAGES };
enum { XCCS = 8, FIRST_HANDLE = 0x1000 };

typedef uint32_t status;
typedef void *handle;

static struct SimulatedNode *node;
static int initialised;
static atomic_flag inside = ATOMIC_FLAG_INIT;

__attribute__((visibility("hidden"))) int simulated_enter(void)
{
    if (atomic_flag_test_and_set(&inside)) {
        fputs("simulated libamd_smi: entered from two threads at once\n", stderr);
        abort();
    }
    if (node == NULL) {
        int control = open(getenv("SIMULATED_AMDSMI"), O_RDWR);
        node = mmap(NULL, sizeof *node, PROT_READ | PROT_WRITE, MAP_SHARED, control, 0);
        if (node == MAP_FAILED)
            abort();
        close(control);
    }
    if (node->noise) {
        puts("simulated libamd_smi: noise on stdout");
        fflush(stdout);
    }
    return 0;
}

__attribute__((visibility("hidden"))) void simulated_leave(int *unused)
{
    (void)unused;
    atomic_flag_clear(&inside);
}

#define ONE_THREAD __attribute__((cleanup(simulated_leave), unused)) int entered = simulated_enter()

static status suffer(volatile struct SimulatedFault *fault)
{
    fault->calls++;
    if (fault->delay_us)
        usleep(fault->delay_us);
    while (fault->hang)
        usleep(10000); /* as good as idle, like a call stuck in the kernel */
    if (fault->crashes) {
        fault->crashes--;
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        *(volatile int *)NULL = 0;
    }
    return fault->error;
}

/* ---- handles: (GPU, partition) as a number that is no address and not NULL ---- */

static uintptr_t index_of(handle which) { return ((uintptr_t)which - FIRST_HANDLE) / XCCS; }
static uintptr_t partition_of(handle which) { return ((uintptr_t)which - FIRST_HANDLE) % XCCS; }
static handle handle_of(uintptr_t gpu, uintptr_t partition) { return (handle)(FIRST_HANDLE + gpu * XCCS + partition); }

static status reach(handle which, int call, struct SimulatedGpu **gpu)
{
    uintptr_t index = index_of(which);
    if (!initialised)
        return NOT_INITIALISED;
    if ((uintptr_t)which < FIRST_HANDLE || index >= node->gpu_count)
        return INVALID;
    *gpu = &node->gpus[index];
    if (!(*gpu)->present)
        return NOT_FOUND;
    return suffer(&(*gpu)->faults[call]);
}

#define REACH(call)                                    \
    ONE_THREAD;                                        \
    struct SimulatedGpu *gpu = NULL;                   \
    status failed = reach(which, call, &gpu);          \
    if (failed)                                        \
        return failed

/* ---- load ---- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

/* Seconds of high load since the beginning of time; fractional periods count exactly. */
static double high_seconds(const struct SimulatedGpu *gpu, double time)
{
    if (gpu->period <= 0)
        return 0;
    double whole = floor((time - gpu->phase) / gpu->period);
    double part = (time - gpu->phase) - whole * gpu->period;
    return (whole * gpu->duty + fmin(part / gpu->period, gpu->duty)) * gpu->period;
}

static int is_high(const struct SimulatedGpu *gpu, double time)
{
    if (gpu->period <= 0)
        return 0;
    double cycles = (time - gpu->phase) / gpu->period;
    return cycles - floor(cycles) < gpu->duty;
}

static double joules(const struct SimulatedGpu *gpu, double time)
{
    return gpu->energy_offset + gpu->power_low * time + (gpu->power_high - gpu->power_low) * high_seconds(gpu, time);
}

/* From -most to most: the same for one GPU, sensor and second, and as good as random from one to the next. */
static int unrest(const struct SimulatedGpu *gpu, double time, uint64_t sensor, int most)
{
    if (!gpu->restless)
        return 0;
    uint64_t mixed = (gpu->unique_id ^ sensor << 56) + (uint64_t)time * 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return (int)((mixed ^ mixed >> 31) % (2 * most + 1)) - most;
}

/* ---- the node ---- */

status amdsmi_init(uint64_t flags)
{
    ONE_THREAD;
    (void)flags;
    status failed = suffer(&node->init);
    initialised = failed == SUCCESS;
    return failed;
}

status amdsmi_shut_down(void)
{
    ONE_THREAD;
    initialised = 0;
    return SUCCESS;
}

status amdsmi_get_lib_version(struct struct_amdsmi_version_t *version)
{
    ONE_THREAD;
    memset(version, 0, sizeof *version);
    version->major = node->version[0];
    version->minor = node->version[1];
    version->release = node->version[2];
    version->build = "simulated";
    return SUCCESS;
}

status amdsmi_get_socket_handles(uint32_t *count, handle *sockets)
{
    ONE_THREAD;
    if (!initialised)
        return NOT_INITIALISED;
    uint32_t found = 0;
    for (uint32_t index = 0; index < node->gpu_count; index++) {
        if (!node->gpus[index].present)
            continue;
        if (sockets != NULL && found < *count)
            sockets[found] = handle_of(index, 0);
        found++;
    }
    *count = found;
    return SUCCESS;
}

status amdsmi_get_processor_handles(handle which, uint32_t *count, handle *processors)
{
    ONE_THREAD;
    struct SimulatedGpu *gpu = &node->gpus[index_of(which)];
    for (uint32_t partition = 0; processors != NULL && partition < gpu->partitions && partition < *count; partition++)
        processors[partition] = handle_of(index_of(which), partition);
    *count = gpu->partitions;
    return SUCCESS;
}

/* The real library keeps the address from its start, so asking touches no GPU and cannot fail. */
status amdsmi_get_gpu_device_bdf(handle which, uint64_t *bdf)
{
    ONE_THREAD;
    *bdf = partition_of(which) | (5 + 2 * index_of(which)) << 8;
    return SUCCESS;
}

/* ---- identity ---- */

status amdsmi_get_gpu_device_uuid(handle which, uint32_t *length, char *uuid)
{
    REACH(IDENTIFY);
    uint64_t id = gpu->no_access ? UINT64_MAX : gpu->unique_id;
    snprintf(uuid, *length, "%02x%02x%04x-0000-1000-80%02x-%04x%08x", (unsigned)(id >> 56),
             gpu->no_access ? 0xff : (unsigned)partition_of(which), gpu->no_access ? 0 : 0x74a1,
             (unsigned)(id >> 48 & 0xff), (unsigned)(id >> 32 & 0xffff), (unsigned)(id & 0xffffffff));
    return SUCCESS;
}

status amdsmi_get_gpu_asic_info(handle which, struct struct_amdsmi_asic_info_t *info)
{
    REACH(IDENTIFY);
    memset(info, 0, sizeof *info);
    strcpy(info->market_name, "AMD Instinct MI300X");
    strcpy(info->vendor_name, "Advanced Micro Devices, Inc. [AMD/ATI]");
    info->vendor_id = 0x1002;
    info->device_id = 0x74a1;
    info->num_of_compute_units = 304 / gpu->partitions;
    info->target_graphics_version = 0x942;
    info->oam_id = index_of(which);
    /* Without access the real one puts a decimal behind 0x. */
    snprintf(info->asic_serial, sizeof info->asic_serial, gpu->no_access ? "0x%lu" : "0x%016lX",
             gpu->no_access ? gpu->unique_id >> 16 : gpu->unique_id);
    return SUCCESS;
}

status amdsmi_get_gpu_board_info(handle which, struct struct_amdsmi_board_info_t *info)
{
    REACH(IDENTIFY);
    memset(info, 0, sizeof *info);
    strcpy(info->product_name, "MI300X-O");
    return SUCCESS;
}

status amdsmi_get_gpu_driver_info(handle which, struct struct_amdsmi_driver_info_t *info)
{
    REACH(IDENTIFY);
    memset(info, 0, sizeof *info);
    strcpy(info->driver_name, "amdgpu");
    strcpy(info->driver_version, "6.14.14");
    return SUCCESS;
}

status amdsmi_get_gpu_vbios_info(handle which, struct struct_amdsmi_vbios_info_t *info)
{
    REACH(IDENTIFY);
    memset(info, 0, sizeof *info);
    strcpy(info->version, "022.040.003.043.000001");
    return SUCCESS;
}

status amdsmi_get_gpu_enumeration_info(handle which, struct struct_amdsmi_enumeration_info_t *info)
{
    REACH(IDENTIFY);
    memset(info, 0xff, sizeof *info);
    info->drm_card = 1 + 8 * index_of(which);
    info->drm_render = 128 + 8 * index_of(which);
    snprintf(info->hip_uuid, sizeof info->hip_uuid, "GPU-%016lx", gpu->unique_id);
    return SUCCESS;
}

status amdsmi_get_gpu_compute_partition(handle which, char *name, uint32_t length)
{
    REACH(IDENTIFY);
    static const char *names[] = {[1] = "SPX", [2] = "DPX", [4] = "QPX", [8] = "CPX"};
    snprintf(name, length, "%s", names[gpu->partitions]);
    return SUCCESS;
}

status amdsmi_get_gpu_memory_partition(handle which, char *name, uint32_t length)
{
    REACH(IDENTIFY);
    snprintf(name, length, "NPS1");
    return SUCCESS;
}

status amdsmi_get_gpu_memory_total(handle which, uint32_t kind, uint64_t *bytes)
{
    REACH(IDENTIFY);
    if (kind != 0)
        return NOT_SUPPORTED;
    *bytes = gpu->vram_total;
    return SUCCESS;
}

/* ---- readings ---- */

status amdsmi_get_gpu_memory_usage(handle which, uint32_t kind, uint64_t *bytes)
{
    REACH(VRAM);
    if (kind != 0)
        return NOT_SUPPORTED;
    *bytes = is_high(gpu, now()) ? gpu->vram_high : gpu->vram_low;
    return SUCCESS;
}

status amdsmi_get_gpu_metrics_info(handle which, struct struct_amdsmi_gpu_metrics_t *metrics)
{
    REACH(METRICS);
    if (partition_of(which) != 0)
        return NOT_SUPPORTED;
    double time = now();
    int high = is_high(gpu, time);
    uint16_t percent = lround(high ? gpu->utilization_high : gpu->utilization_low);
    memset(metrics, 0xff, sizeof *metrics);
    metrics->common_header.structure_size = sizeof *metrics;
    metrics->common_header.format_revision = 1;
    metrics->common_header.content_revision = 8;
    metrics->temperature_hotspot = 40 + percent / 3 + unrest(gpu, time, 1, 3);
    metrics->temperature_mem = 38 + percent / 4 + unrest(gpu, time, 2, 2);
    metrics->temperature_vrsoc = 42 + percent / 4 + unrest(gpu, time, 3, 2);
    if (gpu->partitions == 1)
        metrics->average_gfx_activity = percent;
    metrics->average_umc_activity = percent / 2;
    metrics->current_socket_power = lround(high ? gpu->power_high : gpu->power_low);
    metrics->energy_accumulator = (uint64_t)(joules(gpu, time) * 65536);
    metrics->system_clock_counter = (uint64_t)(time * 1e9);
    metrics->current_uclk = 900 + 4 * percent + unrest(gpu, time, 4, 50);
    metrics->pcie_replay_count_acc = 0;
    for (int link = 1; link < 8; link++) {
        metrics->xgmi_read_data_acc[link] = (uint64_t)(time * (1000 + 90 * link * gpu->restless));
        metrics->xgmi_write_data_acc[link] = (uint64_t)(time * (500 + 40 * link * gpu->restless));
    }
    metrics->accumulation_counter = (uint64_t)(time * 1000);
    metrics->prochot_residency_acc = 0;
    metrics->ppt_residency_acc = (uint64_t)(time * 1000 * gpu->ppt_throttled);
    metrics->socket_thm_residency_acc = 0;
    metrics->vr_thm_residency_acc = 0;
    metrics->hbm_thm_residency_acc = 0;
    metrics->num_partition = gpu->partitions;
    for (uint32_t xcc = 0; xcc < XCCS; xcc++) {
        uint32_t each = XCCS / gpu->partitions;
        metrics->current_gfxclks[xcc] = 132 + 19 * percent + unrest(gpu, time, 16 + xcc, 20);
        metrics->xcp_stats[xcc / each].gfx_busy_inst[xcc % each] = percent;
    }
    for (int index = 0; index < (int)(sizeof gpu->patches / sizeof *gpu->patches); index++)
        memcpy((char *)metrics + gpu->patches[index].offset, &gpu->patches[index].value, gpu->patches[index].size);
    return SUCCESS;
}

status amdsmi_get_gpu_total_ecc_count(handle which, struct struct_amdsmi_error_count_t *count)
{
    REACH(ECC);
    memset(count, 0, sizeof *count);
    count->correctable_count = gpu->ecc[0];
    count->uncorrectable_count = gpu->ecc[1];
    count->deferred_count = gpu->ecc[2];
    return SUCCESS;
}

status amdsmi_get_gpu_bad_page_info(handle which, uint32_t *count, struct struct_amdsmi_retired_page_record_t *pages)
{
    REACH(PAGES);
    for (uint32_t page = 0; pages != NULL && page < *count && page < gpu->bad_pages; page++)
        pages[page] = (struct struct_amdsmi_retired_page_record_t){.page_address = page << 12, .page_size = 4096};
    *count = gpu->bad_pages;
    return SUCCESS;
}
