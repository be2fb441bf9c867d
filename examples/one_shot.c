/* Ask once, wait, print the answer.
 *
 *     APERTIS_API_KEY=sk-... ./one_shot "Why is the sky blue?"
 */
#include <apertis.h>
#include <stdio.h>

int main(int argc, char **argv) {
    const char *prompt = argc > 1 ? argv[1] : "Why is the sky blue? One sentence.";
    apertis_client *client = NULL;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    apertis_status status;

    /* NULL: all defaults. Key and base come from APERTIS_API_KEY and APERTIS_API_BASE. */
    status = apertis_client_new(NULL, &client, &error);
    if (status == APERTIS_OK) {
        /* APERTIS_NTS: the prompt ends at its NUL. */
        status = apertis_client_complete(client, prompt, APERTIS_NTS, &response, &error);
    }
    if (status == APERTIS_OK) {
        puts(apertis_response_text(response, NULL));
    } else {
        fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(status), apertis_error_message(error));
    }

    /* What was handed to us is ours to free; NULL is fine. */
    apertis_error_free(error);
    apertis_response_free(response);
    apertis_client_free(client);
    return status == APERTIS_OK ? 0 : 1;
}
