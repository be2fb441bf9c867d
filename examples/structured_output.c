/* Ask for JSON of a schema: what comes has been checked, or it comes as an error. */
#include <apertis.h>
#include <stdio.h>

static const char schema[] =
    "{\"type\":\"object\","
    " \"properties\":{\"name\":{\"type\":\"string\"},\"year\":{\"type\":\"integer\"},\"legs\":{\"type\":\"integer\",\"enum\":[0,2,4,6,8]}},"
    " \"required\":[\"name\",\"year\",\"legs\"],\"additionalProperties\":false}";

int main(int argc, char **argv) {
    const char *prompt = argc > 1 ? argv[1] : "An animal, and the year in which it was first described.";
    apertis_client *client = NULL;
    apertis_request *request = apertis_request_new();
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    apertis_status status = apertis_client_new(NULL, &client, &error);

    if (status == APERTIS_OK) status = apertis_request_add_message(request, APERTIS_ROLE_USER, prompt, APERTIS_NTS);
    if (status == APERTIS_OK) status = apertis_request_set_output_schema(request, "animal", schema);
    if (status == APERTIS_OK) status = apertis_client_chat(client, request, &response, &error);

    if (status == APERTIS_OK && apertis_response_refusal(response, NULL)) {
        printf("It would rather not: %s\n", apertis_response_refusal(response, NULL));
    } else if (status == APERTIS_OK) {
        puts(apertis_response_text(response, NULL)); /* valid JSON of the schema */
    } else {
        fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(status), error ? apertis_error_message(error) : "an argument was wrong");
        /* APERTIS_ERROR_SCHEMA: the text that did not fit is attached. */
        if (response) fprintf(stderr, "%s\n", apertis_response_text(response, NULL));
    }

    apertis_error_free(error);
    apertis_response_free(response);
    apertis_request_free(request);
    apertis_client_free(client);
    return status == APERTIS_OK ? 0 : 1;
}
