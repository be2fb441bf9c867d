/* Stream an answer to the terminal, word by word as it arrives.
 *
 *     APERTIS_API_KEY=sk-... ./streaming "Tell me a very short story."
 */
#include <apertis.h>
#include <stdio.h>

/* Called on our own thread, for each event, while apertis_client_complete_stream waits. */
static void print_event(void *user_data, const apertis_event *event) {
    FILE *out = (FILE *)user_data;
    size_t length = 0;

    /* There are more kinds, and there may be new ones one day: take what you want, ignore the rest. */
    if (apertis_event_kind_of(event) == APERTIS_EVENT_TEXT) {
        const char *text = apertis_event_text(event, &length);
        fwrite(text, 1, length, out);
        fflush(out);
    }
}

static void print_summary(const apertis_response *response) {
    const char *model = apertis_response_model(response);
    long long input = apertis_response_usage(response, APERTIS_USAGE_INPUT);    /* -1: not said */
    long long output = apertis_response_usage(response, APERTIS_USAGE_OUTPUT);
    long long first = apertis_response_timing_us(response, APERTIS_TIMING_FIRST_DELTA);

    fprintf(stderr, "\n[%s", model ? model : "unknown model");
    if (input >= 0 && output >= 0) fprintf(stderr, " | %lld tokens in, %lld out", input, output);
    if (first >= 0) fprintf(stderr, " | first token after %.1f ms", (double)first / 1000.0);
    fprintf(stderr, "]\n");
}

int main(int argc, char **argv) {
    const char *prompt = argc > 1 ? argv[1] : "Tell me a very short story.";
    apertis_client *client = NULL;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    apertis_status status;

    /* Key and base come from APERTIS_API_KEY and APERTIS_API_BASE. */
    status = apertis_client_new(NULL, &client, &error);
    if (status == APERTIS_OK) {
        status = apertis_client_complete_stream(client, prompt, APERTIS_NTS, print_event, stdout, &response, &error);
    }
    /* On a failure in mid-answer `response` holds the part that came. */
    if (response) putchar('\n');
    fflush(stdout);
    if (status == APERTIS_OK) {
        print_summary(response);
    } else {
        fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(status), apertis_error_message(error));
    }

    apertis_error_free(error);
    apertis_response_free(response);
    apertis_client_free(client);
    return status == APERTIS_OK ? 0 : 1;
}
