/** This stack has no resources. The time of its `up` is that of Pulumi's start and of a program that loads the components. */
import "../../../components";
