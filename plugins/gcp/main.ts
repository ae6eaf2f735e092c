import { serve } from "../shared/serve";
import { GcpProvider } from "./provider";

void serve(new GcpProvider());
