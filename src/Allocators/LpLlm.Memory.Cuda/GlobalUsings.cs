global using LpLlm.Memory.Cuda;
