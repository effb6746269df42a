#include "libraries.h"

// cuda.h's values
enum {
    attribute_processors = 16, attribute_major = 75, attribute_minor = 76, attribute_shared = 97,
    function_shared = 8, stream_apart = 1, event_without_time = 2
};

static void *context;
static __thread int is_current;

// A thread works in the context that is current to it.
static int enter(void) {
    if (is_current) return 0;
    int status = ccuda_driver.make_current(context);
    is_current = status == 0;
    return status;
}

#define TRY(call)                      \
    do {                               \
        int status = (call);           \
        if (status) return status;     \
    } while (0)

int ccuda_start(int index, ccuda_facts *facts) {
    device device;
    TRY(ccuda_driver.init(0));
    TRY(ccuda_driver.version(&facts->driver));
    TRY(ccuda_driver.device(&device, index));
    TRY(ccuda_driver.device_name(facts->name, sizeof facts->name, device));
    TRY(ccuda_driver.memory(&facts->memory, device));
    TRY(ccuda_driver.attribute(&facts->major, attribute_major, device));
    TRY(ccuda_driver.attribute(&facts->minor, attribute_minor, device));
    TRY(ccuda_driver.attribute(&facts->processors, attribute_processors, device));
    int shared;
    TRY(ccuda_driver.attribute(&shared, attribute_shared, device));
    facts->most_shared = shared;
    TRY(ccuda_driver.retain(&context, device));
    return enter();
}

const char *ccuda_meaning(int status) {
    const char *text = 0;
    if (!ccuda_driver.error_text || ccuda_driver.error_text(status, &text) || !text) return "unknown to the driver";
    return text;
}

#define IN_CONTEXT(call)     \
    {                        \
        TRY(enter());        \
        return (call);       \
    }

int ccuda_allocate(ccuda_address *address, size_t bytes) IN_CONTEXT(ccuda_driver.allocate(address, bytes))
int ccuda_free(ccuda_address address) IN_CONTEXT(ccuda_driver.release(address))
int ccuda_allocate_host(void **address, size_t bytes) IN_CONTEXT(ccuda_driver.allocate_host(address, bytes))
int ccuda_free_host(void *address) IN_CONTEXT(ccuda_driver.release_host(address))
int ccuda_copy_in(ccuda_address to, const void *from, size_t bytes, ccuda_stream stream)
    IN_CONTEXT(ccuda_driver.copy_in(to, from, bytes, stream))
int ccuda_copy_out(void *to, ccuda_address from, size_t bytes, ccuda_stream stream)
    IN_CONTEXT(ccuda_driver.copy_out(to, from, bytes, stream))
int ccuda_copy(ccuda_address to, ccuda_address from, size_t bytes, ccuda_stream stream)
    IN_CONTEXT(ccuda_driver.copy(to, from, bytes, stream))
int ccuda_clear(ccuda_address address, size_t bytes, ccuda_stream stream)
    IN_CONTEXT(ccuda_driver.set(address, 0, bytes, stream))
int ccuda_make_stream(ccuda_stream *stream) IN_CONTEXT(ccuda_driver.make_stream(stream, stream_apart))
int ccuda_wait_stream(ccuda_stream stream) IN_CONTEXT(ccuda_driver.wait_stream(stream))
int ccuda_wait_for(ccuda_stream stream, ccuda_event event) IN_CONTEXT(ccuda_driver.wait_for(stream, event, 0))
int ccuda_make_event(ccuda_event *event, int times)
    IN_CONTEXT(ccuda_driver.make_event(event, times ? 0 : event_without_time))
int ccuda_record(ccuda_event event, ccuda_stream stream) IN_CONTEXT(ccuda_driver.record(event, stream))
int ccuda_wait_event(ccuda_event event) IN_CONTEXT(ccuda_driver.wait_event(event))
int ccuda_milliseconds(float *milliseconds, ccuda_event start, ccuda_event end)
    IN_CONTEXT(ccuda_driver.elapsed(milliseconds, start, end))
int ccuda_load(ccuda_module *module, const void *cubin) IN_CONTEXT(ccuda_driver.load(module, cubin))

int ccuda_find(ccuda_function *function, ccuda_module module, const char *name, int shared) {
    TRY(enter());
    TRY(ccuda_driver.find(function, module, name));
    return ccuda_driver.set_attribute(*function, function_shared, shared);
}

int ccuda_launch(ccuda_function function, const unsigned grid[3], unsigned threads, unsigned shared, ccuda_stream stream,
                 void **arguments)
    IN_CONTEXT(ccuda_driver.launch(function, grid[0], grid[1], grid[2], threads, 1, 1, shared, stream, arguments, 0))
