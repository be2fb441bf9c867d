/* An event loop: three answers at once, one thread, asleep in poll(2) until something arrives. */
#define _POSIX_C_SOURCE 200809L /* poll */
#include <apertis.h>
#include <poll.h>
#include <stdio.h>

int main(void) {
    static const char *const prompts[] = { "Name a fruit.", "Name a river.", "Name a composer." };
    enum { COUNT = sizeof prompts / sizeof *prompts };
    int pending = 0, failed = 0;
    size_t index;
    struct pollfd waits;
    apertis_client *client = NULL;
    apertis_queue *queue = NULL;
    apertis_error *error = NULL;
    apertis_status status = apertis_client_new(NULL, &client, &error);

    if (status == APERTIS_OK) status = apertis_queue_new(APERTIS_DELIVER_PULL, &queue, &error);
    for (index = 0; status == APERTIS_OK && index < COUNT; index++) {
        apertis_request *request = apertis_request_new();
        status = apertis_request_add_message(request, APERTIS_ROLE_USER, prompts[index], APERTIS_NTS);
        /* The user data comes back with each event. No stream handle is wanted: the last NULL but one. */
        if (status == APERTIS_OK) status = apertis_client_start_on(client, request, queue, NULL, (void *)prompts[index], NULL, NULL, &error);
        if (status == APERTIS_OK) pending++;
        apertis_request_free(request); /* it was copied */
    }

    waits.fd = (int)apertis_queue_handle(queue); /* only poll it; put your sockets beside it */
    waits.events = POLLIN;
    while (status == APERTIS_OK && pending > 0) {
        const apertis_event *event = NULL;
        poll(&waits, 1, -1);
        while (apertis_queue_next(queue, 0, &event) == APERTIS_OK) { /* 0: take what is there, do not wait */
            if (apertis_event_kind_of(event) != APERTIS_EVENT_END) continue;
            pending--;
            if (apertis_event_error(event)) {
                const apertis_error *why = apertis_event_error(event);
                fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(apertis_error_status(why)), apertis_error_message(why));
                failed = 1;
            } else {
                printf("%s %s\n", (const char *)apertis_event_user_data(event), apertis_response_text(apertis_event_response(event), NULL));
            }
        }
    }
    if (status != APERTIS_OK) fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(status), error ? apertis_error_message(error) : "an argument was wrong");

    apertis_error_free(error);
    apertis_queue_free(queue);
    apertis_client_free(client);
    return status == APERTIS_OK && !failed ? 0 : 1;
}
