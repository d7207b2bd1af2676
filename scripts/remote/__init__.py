"""`--ssh [USER@]HOST`: the verbs that change a host, run there from here, over the user's own OpenSSH client."""
