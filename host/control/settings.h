/* Settings that change while the host runs, as main.c knows them. [loop thread] */
#ifndef HOST_CONTROL_SETTINGS_H
#define HOST_CONTROL_SETTINGS_H

/* For loop_on_hangup; arg is the struct control. Reads sofun.yaml again; the log says what became of it. */
void settings_hangup(void *control);

#endif
