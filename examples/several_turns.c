/* A conversation: a request holds what was said, and each answer is added to it. */
#include <apertis.h>
#include <stdio.h>

/* Adds what we say, asks, prints the answer and adds it to the conversation. */
static apertis_status turn(apertis_client *client, apertis_request *conversation, const char *said, apertis_error **error) {
    apertis_response *response = NULL;
    apertis_status status = apertis_request_add_message(conversation, APERTIS_ROLE_USER, said, APERTIS_NTS);
    if (status == APERTIS_OK) status = apertis_client_chat(client, conversation, &response, error);
    if (status == APERTIS_OK) {
        printf("> %s\n%s\n\n", said, apertis_response_text(response, NULL));
        /* As it came: reasoning, tool calls and all. The request keeps its own copy. */
        status = apertis_request_add_response(conversation, response);
    }
    apertis_response_free(response);
    return status;
}

int main(void) {
    static const char *const lines[] = { "My name is Ada. Who are you?", "What was my name?", "Spell it backwards." };
    apertis_client *client = NULL;
    apertis_request *conversation = apertis_request_new();
    apertis_error *error = NULL;
    apertis_status status;
    size_t index;

    status = apertis_client_new(NULL, &client, &error);
    if (status == APERTIS_OK) {
        status = apertis_request_add_message(conversation, APERTIS_ROLE_SYSTEM, "Answer in one short sentence.", APERTIS_NTS);
    }
    for (index = 0; status == APERTIS_OK && index < sizeof lines / sizeof *lines; index++) {
        status = turn(client, conversation, lines[index], &error);
    }
    if (status == APERTIS_OK) {
        /* A saved game: the whole conversation as JSON, without keys; apertis_request_from_json loads it. */
        size_t length = 0;
        apertis_request_json(conversation, &length);
        printf("(saved, this conversation takes %lu bytes)\n", (unsigned long)length);
    } else {
        const char *message = apertis_error_message(error); /* setters give a status only */
        fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(status), message ? message : "an argument was wrong");
    }

    apertis_error_free(error);
    apertis_request_free(conversation);
    apertis_client_free(client);
    return status == APERTIS_OK ? 0 : 1;
}
