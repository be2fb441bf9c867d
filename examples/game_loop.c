/* A game at 60 frames per second: callbacks run inside the frame's pump, on this thread, and nothing ever waits. */
#define _POSIX_C_SOURCE 200809L /* nanosleep, clock_gettime */
#include <apertis.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct dialogue {
    char line[2048];
    size_t length;
    int done;
    int32_t status;
};

static void on_event(void *user_data, const apertis_event *event) {
    struct dialogue *dialogue = (struct dialogue *)user_data;
    size_t length = 0;
    const char *text;

    if (apertis_event_kind_of(event) == APERTIS_EVENT_TEXT) {
        text = apertis_event_text(event, &length);
        if (length > sizeof dialogue->line - 1 - dialogue->length) length = sizeof dialogue->line - 1 - dialogue->length;
        memcpy(dialogue->line + dialogue->length, text, length);
        dialogue->length += length;
    } else if (apertis_event_kind_of(event) == APERTIS_EVENT_END) {
        const apertis_error *error = apertis_event_error(event); /* NULL: all went well */
        if (error) {
            dialogue->status = apertis_error_status(error);
            fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(dialogue->status), apertis_error_message(error));
        }
        dialogue->done = 1;
    }
}

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(void) {
    static struct dialogue dialogue;
    apertis_client *client = NULL;
    apertis_queue *queue = NULL;
    apertis_request *request = apertis_request_new();
    apertis_error *error = NULL;
    apertis_status status = apertis_client_new(NULL, &client, &error);
    double worst = 0, before, took;
    size_t drawn = 0;
    int frames = 0;
    struct timespec rest;

    if (status == APERTIS_OK) status = apertis_queue_new(APERTIS_DELIVER_PUMP, &queue, &error);
    if (status == APERTIS_OK) status = apertis_request_add_message(request, APERTIS_ROLE_USER, "You are a blacksmith in a game. Greet me.", APERTIS_NTS);
    if (status == APERTIS_OK) status = apertis_client_start_on(client, request, queue, on_event, &dialogue, NULL, NULL, &error);
    if (status != APERTIS_OK) {
        fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(status), error ? apertis_error_message(error) : "an argument was wrong");
    }
    while (status == APERTIS_OK && !dialogue.done) {
        before = milliseconds();
        apertis_queue_pump(queue, 1000); /* for at most 1 ms of this frame */
        fwrite(dialogue.line + drawn, 1, dialogue.length - drawn, stdout); /* "draw" what is new */
        fflush(stdout);
        drawn = dialogue.length;
        took = milliseconds() - before;
        if (took > worst) worst = took;
        frames++;
        rest.tv_sec = 0;
        rest.tv_nsec = took < 16.6 ? (long)((16.6 - took) * 1e6) : 0;
        nanosleep(&rest, NULL);
    }
    if (status == APERTIS_OK) printf("\n[%d frames, the worst took %.2f ms of 16.6]\n", frames, worst);

    apertis_error_free(error);
    apertis_request_free(request);
    apertis_queue_free(queue);
    apertis_client_free(client);
    return status == APERTIS_OK && dialogue.status == APERTIS_OK ? 0 : 1;
}
