/**
 * The output of a resource that a refresh could not compare, and why in a sentence: the contract between the resources of
 * components/internal and the report of `drift`. What is only not on this machine, such as Kamal's secrets in continuous
 * integration, is read as it is declared; a host that nobody could look at is read as different, so that `pulumi up` goes
 * there with the connection that the program has now.
 */
export const NOT_CHECKED = "notChecked";
