// A thread of a sweep: takes one run after the other.

import workerpool from "workerpool";
import { runTask } from "./task.ts";

workerpool.worker({ runTask });
