import { serve } from "../shared/serve";
import { KubernetesProvider } from "./provider";

void serve(new KubernetesProvider());
