/* One conversation, two wire formats: begun over Chat Completions, continued over Messages with another model. */
#include <apertis.h>
#include <stdio.h>

/* Asks in this format and adds the answer, so that the next model reads what this one said. */
static apertis_status ask(apertis_client *client, apertis_request *conversation, int32_t format, const char *model, const char *said, apertis_error **error) {
    apertis_response *response = NULL;
    apertis_status status = apertis_request_set_format(conversation, format);
    if (status == APERTIS_OK) status = apertis_request_set_model(conversation, model);
    if (status == APERTIS_OK) status = apertis_request_add_message(conversation, APERTIS_ROLE_USER, said, APERTIS_NTS);
    if (status == APERTIS_OK) status = apertis_client_chat(client, conversation, &response, error);
    if (status == APERTIS_OK) {
        const char *answered = apertis_response_model(response);
        printf("> %s\n%s: %s\n\n", said, answered ? answered : model, apertis_response_text(response, NULL));
        status = apertis_request_add_response(conversation, response);
    }
    apertis_response_free(response);
    return status;
}

int main(void) {
    apertis_client *client = NULL;
    apertis_request *conversation = apertis_request_new();
    apertis_error *error = NULL;
    apertis_status status = apertis_client_new(NULL, &client, &error);

    if (status == APERTIS_OK) {
        status = ask(client, conversation, APERTIS_FORMAT_CHAT_COMPLETIONS, "gpt-4o-mini", "Invent a word and say what it means.", &error);
    }
    if (status == APERTIS_OK) {
        /* The whole conversation is written anew in the other format; nothing of it is lost. */
        status = ask(client, conversation, APERTIS_FORMAT_MESSAGES, "claude-sonnet-4.5", "Use that word in a sentence.", &error);
    }
    if (status != APERTIS_OK) {
        fprintf(stderr, "apertis: %s: %s\n", apertis_status_name(status), error ? apertis_error_message(error) : "an argument was wrong");
    }

    apertis_error_free(error);
    apertis_request_free(conversation);
    apertis_client_free(client);
    return status == APERTIS_OK ? 0 : 1;
}
