/** A stack without resources: what `up` takes for its own start and that of a program that loads the components. */
import "../../../components";
