import { serve } from "../shared/serve";
import { CommandProvider } from "./provider";

void serve(new CommandProvider());
